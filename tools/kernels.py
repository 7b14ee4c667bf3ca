"""The kernel laboratory: Debian's kernels under qemu, with this checkout inside.

    python tools/kernels.py list                        which kernels, and whether they are here
    python tools/kernels.py fetch [--kernel 6.1]        download and unpack, without installing
    python tools/kernels.py test [--kernel 6.1]         run tests/kernel on them
    python tools/kernels.py run --kernel 6.1 -- CMD     run anything on one, as root

Kernels lie in $EBEE_LAB_CACHE, by default ~/.cache/ebee/kernels. They are emulated in software, so
everything inside is ten times slower or more: one Python runs all tests of a kernel.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("EBEE_LAB_CACHE") or Path.home() / ".cache" / "ebee" / "kernels")
PATIENCE_S = 900
"""How long all the tests of one kernel may take."""

# Version -> the Debian suite that has it.
SUITES = {"6.1": "bookworm", "6.12": "trixie"}
# What booting takes: a program, and the Debian package that has it.
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "udevadm": "udev",
}


class LabError(Exception):
    """The laboratory cannot do what it is asked; one line says why."""


class GuestDiedError(LabError):
    """An emulated machine stopped in the middle, as one may that gets too little of a busy host."""


class Tree(NamedTuple):
    """An unpacked kernel: its release, the image, and the folder of its modules."""

    release: str
    image: Path
    modules: Path


def main() -> int:
    """Run one command of the laboratory and return the exit code."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["list", "fetch", "test", "run"])
    parser.add_argument("--kernel", choices=list(SUITES), help="one of them; by default all")
    arguments = parser.parse_args(words[:end])
    versions = [arguments.kernel] if arguments.kernel else list(SUITES)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _act(arguments.action, versions, words[end + 1 :])
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _act(action: str, versions: Sequence[str], command: Sequence[str]) -> int:
    if action == "list":
        for version in versions:
            tree = find_tree(version)
            print(f"{version}  {SUITES[version]:<9}  {tree.release if tree else 'not here yet'}")
        return 0
    _check_machine()
    trees = {version: find_tree(version) or fetch(version) for version in versions}
    if action == "fetch":
        return 0
    if action == "run":
        if not command or len(trees) > 1:
            raise LabError("run: expected --kernel VERSION -- COMMAND")
        return boot(trees[versions[0]], shlex.join(command), versions[0])
    return _test(trees)


def _check_machine() -> None:
    """Refuse a machine that the kernels do not run on; install what booting takes."""
    if platform.machine() != "x86_64":
        raise LabError(f"the kernels are for x86_64, and this machine is {platform.machine()}")
    missing = sorted(package for tool, package in TOOLS.items() if shutil.which(tool) is None)
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(
            f"booting takes {', '.join(missing)}; install them: apt-get install {' '.join(missing)}"
        )
    print(f"installing {', '.join(missing)}")
    _quietly(["apt-get", "update", "-qq"])
    _quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


# -- fetching --------------------------------------------------------------------------------------
def find_tree(version: str) -> Tree | None:
    """Return an unpacked kernel, or None where it is not here."""
    folder = CACHE / version
    for image in sorted(folder.glob("boot/vmlinuz-*")):
        release = image.name.removeprefix("vmlinuz-")
        for modules in (folder / "usr/lib/modules" / release, folder / "lib/modules" / release):
            if (modules / "modules.dep").exists():
                return Tree(release, image, modules)
    return None


def fetch(version: str) -> Tree:
    """Download a kernel's Debian package and unpack it into the cache; nothing is installed.

    Raises:
        LabError: it cannot be had.
    """
    suite, folder = SUITES[version], CACHE / version
    print(f"fetching Debian's kernel {version} ({suite})")
    with _private_apt(suite) as apt:
        package = _image_package(apt)
        downloads = CACHE / "downloads" / suite
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        _quietly(["apt-get", *apt, "download", package], cwd=downloads)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for archive in downloads.glob("*.deb"):
            _quietly(["dpkg", "-x", str(archive), str(folder)])
        shutil.rmtree(downloads)
    for image in folder.glob("boot/vmlinuz-*"):
        _index_modules(folder, image.name.removeprefix("vmlinuz-"))
    tree = find_tree(version)
    if tree is None:
        raise LabError(f"package {package}: no kernel image with modules in it")
    return tree


def _index_modules(folder: Path, release: str) -> None:
    base = folder / "usr" if (folder / "usr/lib/modules" / release).exists() else folder
    _quietly(["depmod", "-b", str(base), release])


@contextmanager
def _private_apt(suite: str) -> Iterator[list[str]]:
    """Give apt's options for a suite with lists of its own; the machine's stay as they are."""
    state = CACHE / "apt" / suite
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text("\n".join(_source_lines(suite)) + "\n")
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state / "cache",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _quietly(["apt-get", *words, "update", "-qq"])
    yield words


_ONE_LINE = re.compile(r"^deb\s+(\[[^]]*\]\s+)?(\S+)\s+([a-z-]+)\s+.*\bmain\b", re.MULTILINE)


def _source_lines(suite: str) -> list[str]:
    """Return this machine's sources of Debian's own archives, with another suite in place of its own."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    lines = [
        f"deb {option}{uri} {found.replace(codename, suite)} main"
        for option, uri, found in _machine_sources()
        if codename and found.startswith(codename) and re.search(r"/debian(-security)?/?$", uri)
    ]
    if not lines:
        raise LabError("no source of Debian's archive in /etc/apt/sources.list or /etc/apt/sources.list.d")
    return lines


def _machine_sources() -> Iterator[tuple[str, str, str]]:
    """Go through the machine's sources: options in brackets, the archive, one suite."""
    folder = Path("/etc/apt")
    for path in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        yield from _ONE_LINE.findall(path.read_text() if path.exists() else "")
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for paragraph in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.*)$", paragraph, re.MULTILINE))
            key = f"[signed-by={fields['Signed-By']}] " if fields.get("Signed-By") else ""
            for uri in fields.get("URIs", "").split():
                for suite in fields.get("Suites", "").split():
                    yield key, uri, suite


def _image_package(apt: Sequence[str]) -> str:
    """Return the package that holds the image: what linux-image-amd64 depends on."""
    told = subprocess.run(
        ["apt-cache", *apt, "depends", "linux-image-amd64"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"Depends: (linux-image-[0-9]\S*)", told)
    if found is None:
        raise LabError("package linux-image-amd64: names no image; is the archive reached?")
    return found[1]


# -- booting ---------------------------------------------------------------------------------------
def boot(tree: Tree, command: str, label: str) -> int:
    """Run a shell command as root on a kernel, over this machine's files, and return its exit code.

    Writing goes nowhere but to /tmp, which the guest forgets.

    Raises:
        LabError: the kernel did not start, or took too long.
    """
    work = CACHE / "run" / label
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    script, result = work / "script", work / "result"
    script.write_text(f"cd {shlex.quote(str(ROOT))}\n{command}\necho $? > {shlex.quote(str(result))}\n")
    with _modules_in_place(tree):
        _watch(_virtme(tree, work, script), label, work / "log")
    if not result.exists():
        raise GuestDiedError(f"kernel {label}: ended without a result; its log is {work / 'log'}")
    return int(result.read_text())


def _virtme(tree: Tree, work: Path, script: Path) -> list[str]:
    vng = Path(sys.executable).with_name("vng")
    return [
        *(str(vng), "--disable-kvm", "--run", str(tree.image), "--cpus", "2", "--memory", "2G"),
        *("--rwdir", str(work), "--", f"/bin/sh {shlex.quote(str(script))}"),
    ]


@contextmanager
def _modules_in_place(tree: Tree) -> Iterator[None]:
    """Show the modules where booting looks for them, /lib/modules/RELEASE, for as long as it runs."""
    place = Path("/lib/modules") / tree.release
    ours = not place.exists()
    if ours:
        place.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            place.unlink()  # a link of a run that was killed
        place.symlink_to(tree.modules)
    try:
        yield
    finally:
        if ours:
            place.unlink()


def _watch(words: Sequence[str], label: str, log: Path) -> None:
    """Run a program in a process group of its own, show its lines, and let none of it outlive this."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        # vng starts its own helper by name.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"},
    )
    assert process.stdout is not None
    alarm = signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(PATIENCE_S)
    try:
        with log.open("w") as file:
            for line in process.stdout:
                file.write(line)
                print(f"{label:>4} | {line.rstrip()}", flush=True)
        process.wait()
    except TimeoutError:
        raise LabError(f"kernel {label}: not done after {PATIENCE_S} s; its log is {log}") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _too_late(*_: object) -> None:
    raise TimeoutError


# -- testing ---------------------------------------------------------------------------------------
def _test(trees: dict[str, Tree]) -> int:
    """Run tests/kernel on each kernel and print one line for all; return 1 when any failed."""
    summary, failed = [], False
    for version, tree in trees.items():
        began = time.monotonic()
        print(f"kernel {version}: booting {tree.release}", flush=True)
        code = _boot_twice(tree, version)
        took_s = time.monotonic() - began
        summary.append(f"{version} {'ok' if code == 0 else 'FAILED'} ({_counts(version)}) in {took_s:.0f} s")
        failed = failed or code != 0
    print(f"kernels: {'; '.join(summary)}")
    return int(failed)


def _boot_twice(tree: Tree, version: str) -> int:
    """Run the tests; once more, said aloud, when the emulated machine died."""
    try:
        return boot(tree, _test_command(), version)
    except GuestDiedError as error:
        print(f"{error}; once more", flush=True)
        return boot(tree, _test_command(), version)


# Starting a process or a compiler takes seconds inside, so what starts many is left to the running
# kernel, and so is what compares the userspace machine with it, but for the tests that are marked to run
# everywhere. pytest counts them as deselected.
_CHOSEN = "everywhere or not (starts_processes or userspace_machine)"


def _test_command() -> str:
    """Return what runs the tests inside: bytecode and objects come from outside where they are there."""
    settings = {
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
        "PYTHONDONTWRITEBYTECODE": "1",
        "EBEE_EMULATED": "1",
        "HOME": str(Path.home()),
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    }
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", _CHOSEN]
    words += [*(f"--ignore={path}" for path in _left_out()), "tests/kernel"]
    return f"env {' '.join(f'{k}={shlex.quote(v)}' for k, v in settings.items())} {shlex.join(words)}"


def _left_out() -> Iterator[Path]:
    """Yield the files of which no test is chosen; importing them alone takes minutes inside."""
    for path in sorted((ROOT / "tests" / "kernel").glob("test_*.py")):
        if "pytestmark = [needs_root, pytest.mark.userspace_machine]" in path.read_text():
            yield path.relative_to(ROOT)


def _counts(version: str) -> str:
    """Return what pytest counted, from its closing line."""
    lines = (CACHE / "run" / version / "log").read_text(errors="replace").splitlines()
    for line in reversed(lines):
        found = re.search(r"((?:\d+ [a-z]+, )*\d+ (?:passed|failed|errors?|skipped)[^=]*?) in [\d.]+s", line)
        if found:
            return found[1]
    return "no test ran"


def _quietly(words: Sequence[str], cwd: Path | None = None) -> None:
    """Run a program whose output matters only when it fails."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=cwd, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise LabError(f"{shlex.join(words[:1])} {words[-1]}: exit code {done.returncode}: {last[0]}")


if __name__ == "__main__":
    sys.exit(main())
