"""Effects: slow work outside, recorded before it begins and resumed after a crash."""
