"""The home folder, its ports, and the processes that are known by it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cutlass.platform.checkpoints import Checkpoint, stream_checkpoint_name
from cutlass.platform.errors import NotRunningError, PlatformError
from cutlass.platform.home import Home, locked, read_json, write_json
from cutlass.platform.ports import open_sockets, port
from cutlass.platform.processes import is_running, start_time
from cutlass.platform.running import Running
from cutlass.platform.tokens import user_name
from cutlass.platform.trimming import passed, readers


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure()
    return made


def test_it_is_its_owners_alone(home: Home) -> None:
    write_json(home.secrets_file, {"a": 1})
    assert home.root.stat().st_mode & 0o777 == 0o700
    assert home.secrets_file.stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(home: Home) -> None:
    write_json(home.state_file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(home.state_file, {"a": object()})
    assert read_json(home.state_file) == {"a": 1}
    assert not [file for file in home.root.iterdir() if file.name.startswith(".platform")]


def test_a_broken_file_is_named(home: Home) -> None:
    home.state_file.write_text("{")
    with pytest.raises(PlatformError, match=r"platform\.json is not JSON"):
        read_json(home.state_file)


def test_starting_over_keeps_the_ports(home: Home) -> None:
    write_json(home.ports_file, {"emulator": 1})
    write_json(home.secrets_file, {})
    Checkpoint(home.checkpoints, "reader").move("1")
    home.forget()
    assert read_json(home.ports_file) == {"emulator": 1}
    assert read_json(home.secrets_file) is None
    assert Checkpoint(home.checkpoints, "reader").after is None


def test_a_lock_has_one_holder_and_none_after_its_death(home: Home) -> None:
    with locked(home.lock_file) as first, locked(home.lock_file) as second:
        assert (first, second) == (True, False)
    grab = f"fcntl.flock(open({str(home.lock_file)!r}, 'a'), fcntl.LOCK_EX)"
    code = f"import fcntl, os; {grab}; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    with locked(home.lock_file) as held:
        assert held


def test_a_port_is_taken_again_and_another_where_it_is_in_use(home: Home) -> None:
    first = open_sockets(["a", "b"], home, base=None)
    ports = {name: port(one) for name, one in first.items()}
    first["a"].close()
    again = open_sockets(["a", "b"], home, base=None)
    try:
        assert port(again["a"]) == ports["a"]
        assert port(again["b"]) != ports["b"]
        assert all(one.getsockname()[0] == "127.0.0.1" for one in again.values())
    finally:
        for one in [*again.values(), first["b"]]:
            one.close()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(PlatformError, match=f"port {number} of 127.0.0.1"):
            open_sockets(["a"], home, base=number)


def test_a_process_is_known_by_its_start_not_by_its_id_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = start_time(process.pid)
    assert started is not None
    assert is_running(process.pid, started)
    assert not is_running(process.pid, "another time")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet noticed by its parent
    assert not is_running(process.pid, started)
    process.communicate()
    assert start_time(process.pid) is None


def test_a_state_file_of_a_dead_supervisor_is_no_platform(home: Home) -> None:
    with pytest.raises(NotRunningError):
        Running.find(home)
    write_json(home.state_file, {"pid": os.getpid(), "started": "long ago"})
    with pytest.raises(NotRunningError):
        Running.find(home)


def test_users_of_different_organisations_have_different_names_that_cognito_takes() -> None:
    assert user_name("org", "user") == "org:user"
    long = [user_name("o" * 128, "u" * 127 + last) for last in "ab"]
    assert long[0] != long[1]
    assert all(len(name) <= 128 for name in long)


def test_a_stream_is_trimmed_to_its_slowest_reader_once_all_are_known(home: Home) -> None:
    names = readers("usage-credits")
    assert {"replicator", "meter"} <= set(names)
    for place, reader in enumerate(names[1:]):
        name = stream_checkpoint_name(reader, "usage-credits", "london")
        Checkpoint(home.checkpoints, name).move(str(100 + place))
    assert list(passed(home.checkpoints)) == []
    Checkpoint(home.checkpoints, stream_checkpoint_name(names[0], "usage-credits", "london")).move("99")
    assert list(passed(home.checkpoints)) == [("usage-credits", "london", "99")]
