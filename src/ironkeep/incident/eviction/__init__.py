"""The eviction: contain the intruder, rotate what was exposed, sweep for persistence.

The order is enforced: `rotation` refuses to issue new credentials while an exposed principal can
still act (`containment.require_contained`), because the intruder could read them at once. Each step
changes the system first, makes that durable, and then journals a record of it; the verdict is
computed from these records.

`cut` ends all access of a subject, at once however much it has; `groups` has the subjects that
stand for many sessions. `containment` journals what was cut.
"""
