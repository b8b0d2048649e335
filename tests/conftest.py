"""Settings of every test.

A random failure is reproducible: Hypothesis prints the smallest failing example and, in the `ci` profile, a
`@reproduce_failure(...)` line; put that above the test (of a state machine: above its `TestCase` class) and it
fails again. pytest's `--hypothesis-seed=N` repeats a whole run; each run's seed is printed with its failure.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,  # machines differ, and a slow example is no wrong one
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2_000)
settings.load_profile("ci")
