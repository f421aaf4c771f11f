"""Random stories: a seed gives the steps of an attacker, of everybody else, and of responders.

The responders are mostly competent: they take the steps of an eviction in order, then read the
verdict and act on it. Some put a step in the wrong place, leave one out, or lie about one thing.
"""

from random import Random
from typing import Any, Final

from ironkeep.testing.simulation import attack, events, response
from ironkeep.testing.simulation.cluster import Fault
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.story import Story
from ironkeep.testing.simulation.world import PRIMARY, SECRETS, STANDBY

_READABLE: Final = (
    "database/static-creds/app", "database/static-creds/app", "secret/data/key",
    "secret/data/pay", "secret/data/mail",
)  # fmt: skip
_TRACKS: Final = (
    "auth/userpass/users/eve", "auth/approle/role/robot", "sys/policies/acl/extra",
    "database/static-roles/mine",
)  # fmt: skip
_LOST: Final = (
    "secret/metadata/key", "secret/data/key", "sys/mounts/database", "sys/mounts/secret",
    "database/static-roles/app", "auth/userpass/users/ann", "auth/userpass/users/eve",
)  # fmt: skip
_ORDER: Final[tuple[Step, ...]] = (
    response.Do("contain"), response.Do("rotate"), response.Replace("key"),
    response.Do("kill"), response.Do("probe"), response.Do("sweep"), response.Check(),
    response.Residue(), response.Confirm(),
)  # fmt: skip


def random_story(seed: int) -> Story:
    """Return the story of a seed."""
    return _Drawing(Random(seed)).story()


class _Drawing:
    def __init__(self, random: Random) -> None:
        self._random: Final = random

    def story(self) -> Story:
        random = self._random
        before = [self._event() for _ in range(self._few(0.3))]
        if random.random() < 0.15:
            granted = random.choice(("staff,payer", "staff,mailer", "payer"))
            before += [events.Grant("ann", granted), events.Arrive("ann"), events.Grant("ann")]
        theft: list[Step] = [
            attack.Steal("ann", random.random() < 0.3, before=random.random() < 0.2)
        ]
        for _ in range(random.randint(1, 6)):
            theft.append(self._attack())
            if random.random() < 0.15:
                theft.append(self._event())
        return (*before, *theft, *self._response())

    def _response(self) -> list[Step]:
        steps: list[Step] = [response.Open(), *_ORDER]
        random = self._random
        if random.random() < 0.2:
            steps.pop(random.randrange(1, len(steps)))
        if random.random() < 0.2:
            one, other = random.sample(range(1, len(steps)), 2)
            steps[one], steps[other] = steps[other], steps[one]
        if random.random() < 0.1:
            lied = [step for step in steps if not isinstance(step, response.Replace)]
            steps = [*lied[:3], response.Replace("key", lie=True), *lied[3:]]
        for _ in range(self._few(0.3)):
            steps.insert(random.randrange(1, len(steps)), self._meanwhile())
        if random.random() < 0.08:
            steps.append(response.Readmit("ann", forget=random.random() < 0.5))
        steps += [response.Work()] * random.choice((0, 1, 2, 2))
        for _ in range(self._few(0.15)):
            steps.append(self._meanwhile())
        return steps

    def _meanwhile(self) -> Step:
        step = self._attack() if self._random.random() < 0.6 else self._event()
        # What others change after it was looked at shows when it is looked at again, an hour later
        # at most: no verdict knows of it before.
        return (
            attack.Finish()
            if isinstance(step, events.PutBack | events.BackUp | events.Reuse)
            else step
        )

    def _few(self, chance: float) -> int:
        count = 0
        while self._random.random() < chance:
            count += 1
        return count

    def _attack(self) -> Step:
        random = self._random
        by = random.choice((0, 0, 0, 1, 2))
        makers: tuple[tuple[int, Any], ...] = (
            (6, lambda: attack.Read(random.choice(_READABLE), by)),
            (2, lambda: attack.Peek(random.choice(_READABLE), by)),
            (1, lambda: attack.Wrap(random.choice(_READABLE), by, random.random() < 0.5)),
            (2, lambda: attack.Login(random.randrange(3), later=random.random() < 0.4)),
            (4, lambda: attack.Token(random.choice(("child", "orphan", "batch", "wrapped")), by)),
            (2, lambda: attack.MakeUser(random.choice(("eve", "bob", "cat")),
                                        random.choice(("reader", "payer", "staff")), by)),
            (1, lambda: attack.MakeRole(by=by)),
            (1, lambda: attack.Widen(random.choice(("reader", "payer", "extra")), by)),
            (1, lambda: attack.Overwrite(random.choice(("mail", "pay")), by)),
            (1, lambda: attack.Remove(random.choice(_TRACKS), by)),
            (1, lambda: attack.Adopt(by=by)),
            (4, lambda: attack.Connect(random.randrange(2), random.randrange(2),
                                       later=random.random() < 0.3)),
            (1, attack.Finish),
            (2, lambda: attack.Plant(random.choice(("account", "hook")))),
        )  # fmt: skip
        return self._pick(makers)

    def _event(self) -> Step:
        random = self._random
        makers: tuple[tuple[int, Any], ...] = (
            (3, lambda: events.Wait(random.choice((1, 60, 600, 86_400, 2_592_000)))),
            (2, lambda: events.Delete(random.choice(_LOST))),
            (1, lambda: events.Write(random.choice(SECRETS))),
            (2, lambda: events.Application(random.choice((PRIMARY, STANDBY)))),
            (1, lambda: events.Arrive(random.choice(("ann", "bob", "cat", "rita", "rob")))),
            (1, lambda: events.Grant("ann", random.choice(("staff", "payer", "mailer")))),
            (1, lambda: events.Keep(random.choice(SECRETS))),
            (1, lambda: events.PutBack(random.choice(SECRETS))),
            (1, lambda: events.Reuse(random.choice(SECRETS), random.choice(SECRETS))),
            (1, events.Rotate),
            (1, events.Behind),
            (1, lambda: events.BackUp(restore=random.random() < 0.5)),
            (1, lambda: events.Down(up=random.random() < 0.5)),
            (1, events.Follow),
            (1, events.Pool),
            (1, events.Drop),
            (2, lambda: events.Fail(random.choice(("set", "probe", "kill", "sessions")),
                                    random.choice(list(Fault)))),
            (1, lambda: events.Crash(random.choice(("set", "probe", "kill")),
                                     random.choice(("before", "after")))),
            (1, events.Restart),
            (1, lambda: events.SetClock(random.choice((-3600, -290, -120, 120, 3600)),
                                        down=random.random() < 0.7)),
        )  # fmt: skip
        return self._pick(makers)

    def _pick(self, makers: tuple[tuple[int, Any], ...]) -> Step:
        weights = [weight for weight, _ in makers]
        made: Step = self._random.choices(makers, weights)[0][1]()
        return made
