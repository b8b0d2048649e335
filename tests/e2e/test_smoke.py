"""The black-box checks of deployments, on the platform of this machine."""

from tests.e2e.running import Platform


def test_a_running_platform_passes_the_checks_of_a_deployment(platform: Platform) -> None:
    done = platform.command("smoke", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 17
    again = platform.json("smoke", "local")
    assert again["passed"], "a second run meets nothing of the first"
