"""Builds and runs what the Dockerfile says without an engine: overlays of this machine's root stand for the base image.

Every RUN line runs as it is written, in a root of its own. Only what would ask a registry is put in from the tests'
own environment instead: exactly the distributions that the lock names, in its versions.
"""

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import string
import struct
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOCKED = re.compile(r"(\S*bin/)python -m pip (?:--python (\S+) )?install .*--require-hashes -r (\S+)$")


def instructions(dockerfile):
    """(word, rest) of every instruction, lines that go on joined."""
    text = "\n".join(line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def locked(lock):
    """Name and version of every line of a lock."""
    return re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE)


class Stage:
    """One FROM: an overlay of this machine, and what the instructions say about it."""

    def __init__(self, folder, stack, arguments):
        self.upper = folder / "upper"
        self.root = folder / "root"
        for made in (self.upper, folder / "work", self.root):
            made.mkdir(parents=True)
        mount(stack, "overlay", self.root, "-t", "overlay", "-o", _layers(self.upper, folder / "work"))
        for shared in ("dev", "proc"):
            mount(stack, f"/{shared}", self.root / shared, "--bind")
        self._given = arguments
        self.env = {"PATH": PATH, "HOME": "/root"}
        self.arguments = {}
        self.workdir = "/"
        self.said = {"LABEL": {}}
        self._have_python()

    def follow(self, word, rest, stages, context):
        """Carry out one instruction."""
        if word == "ARG":
            name, _, default = rest.partition("=")
            self.arguments[name] = self._given.get(name, default)
        elif word == "ENV":
            self.env |= self._pairs(rest)
        elif word == "LABEL":
            self.said["LABEL"] |= self._pairs(rest)
        elif word == "WORKDIR":
            self.workdir = rest
            self.inside(rest).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self._copy(rest, stages, context)
        elif word == "RUN":
            self._run(rest)
        else:
            self.said[word] = rest

    def inside(self, path):
        return self.root / path.lstrip("/")

    def command(self, word):
        """The words of an instruction in exec form: a shell between us and the process would swallow signals."""
        return json.loads(self.said[word][self.said[word].index("[") :])

    def _pairs(self, rest):
        text = string.Template(rest).safe_substitute(self.env | self.arguments)
        return dict(pair.split("=", 1) for pair in shlex.split(text))

    def _copy(self, rest, stages, context):
        *sources, target = rest.split()
        origin = context
        if sources[0].startswith("--from="):
            origin = stages[sources.pop(0).partition("=")[2]].root
        for source in sources:
            found = origin / source.lstrip("/")
            to = self.inside(target if target.startswith("/") else f"{self.workdir}/{target}")
            if found.is_dir():
                shutil.copytree(found, to, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                to = to / found.name if target.endswith("/") else to
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, to)

    def _run(self, line):
        lock = _LOCKED.fullmatch(line)
        if lock:
            prefix = lock[2] or lock[1].removesuffix("/bin/")
            lock_file = self.inside(lock[3] if lock[3].startswith("/") else f"{self.workdir}/{lock[3]}")
            install(lock_file, *self.inside(prefix).glob("lib/python*/site-packages"))
            return
        variables = [f"{name}={value}" for name, value in (self.env | self.arguments).items()]
        inner = ("/usr/bin/env", "-i", *variables, "/bin/sh", "-c", f"cd {self.workdir}; {line}")
        done = subprocess.run(["chroot", self.root, *inner], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"RUN {line}\n{done.stdout}{done.stderr}"

    def _have_python(self):
        """What the base image has: `python` on the path, for every user."""
        python = Path(sys._base_executable).resolve()
        for folder in python.parents:
            self.inside(str(folder)).chmod(0o755)
        for name in ("python", "python3"):
            link = self.inside(f"{python.parent}/{name}")
            link.unlink(missing_ok=True)
            link.symlink_to(python.name)
        self.env["PATH"] = f"{python.parent}:{PATH}"


def build(dockerfile, *, folder, stack, arguments):
    """The last stage of a Dockerfile, built."""
    mount(stack, "tmpfs", folder, "-t", "tmpfs")
    stages = {}
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            name = rest.partition(" AS ")[2] or f"stage{len(stages)}"
            stages[name] = stage = Stage(folder / name, stack, arguments)
        else:
            stage.follow(word, rest, stages, dockerfile.parent)
    return stage


def install(lock, site_packages):
    """Put the locked distributions into a site-packages, from the environment that runs the tests."""
    for name, version in locked(lock):
        distribution = metadata.distribution(name)
        assert distribution.version == version, f"{name}: {distribution.version} is installed, {version} is locked"
        for file in distribution.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                to = site_packages / file
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), to)


class Container:
    """The image's process as PID 1 of its own namespaces: its user, a read-only root, /data alone to write to."""

    def __init__(self, image, *, folder, stack, mounts, environment):
        self._image = image
        self.root = folder / "running"
        self.root.mkdir()
        mount(stack, "overlay", self.root, "-t", "overlay", "-o", f"ro,lowerdir={image.upper}:/")
        self.user = image.said["USER"]
        mount(stack, "tmpfs", self.root / "data", "-t", "tmpfs", "-o", f"uid={self.user},gid={self.user},mode=700")
        mount(stack, "/dev", self.root / "dev", "--bind")
        for target, source in mounts.items():
            mount(stack, source, self.root / target.lstrip("/"), "--bind")
        self._variables = [f"{name}={value}" for name, value in (image.env | environment).items()]
        words = image.command("ENTRYPOINT") + image.command("CMD")
        inner = f'cd {image.workdir} && exec "$0" "$@"'
        self.log = folder / "container.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc"),
                    *(sys.executable, Path(__file__), "chroot", f"--userspec={self.user}:{self.user}", self.root),
                    *("/usr/bin/setpriv", "--no-new-privs", "/usr/bin/env", "-i", *self._variables),
                    *("/bin/sh", "-c", inner, *words),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        stack.callback(self._end)

    @property
    def pid(self):
        """The process that is PID 1 inside."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def run(self, *words, user=None, **options):
        """A command beside it, as `docker exec` does."""
        return subprocess.run(self._beside(words, user), capture_output=True, text=True, timeout=60, **options)

    def start(self, *words):
        """The same, left running until the container ends."""
        return subprocess.Popen(self._beside(words, None), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self, number, *, timeout):
        """Signal the process as an engine does; its exit code."""
        os.kill(self.pid, number)
        return self._process.wait(timeout)

    def _beside(self, words, user):
        user = self.user if user is None else user
        enter = ("nsenter", "--target", str(self.pid), "--net", "--pid", "--root", f"--wd={self.root}/data")
        who = ("/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        return [*enter, *who, "/usr/bin/env", "-i", *self._variables, *words]

    def _end(self):
        if self._process.poll() is None and self.pid:
            os.kill(self.pid, signal.SIGKILL)  # it has changed its user, and so would outlive its parent
        self._process.kill()
        self._process.wait(10)


def mount(stack, source, target, *options):
    """Mount until the stack ends."""
    subprocess.run(["mount", *options, str(source), str(target)], check=True, capture_output=True, text=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(target)], check=True)


def _layers(upper, work):
    return f"lowerdir=/,upperdir={upper},workdir={work}"


def _loopback_up():
    """What an engine does in a new network namespace."""
    flags, up = 0x8914, 0x1 | 0x40  # SIOCSIFFLAGS; IFF_UP, IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, flags, struct.pack("16sh", b"lo", up))


if __name__ == "__main__":
    _loopback_up()
    os.execvp(sys.argv[1], sys.argv[1:])
