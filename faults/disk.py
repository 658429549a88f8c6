"""File systems of our own on loop devices: made, mounted, cut off from power, mounted again.

Must not know what lies on them.
"""

import fcntl
import os
import struct
import subprocess

# FS_IOC_SHUTDOWN and its mode that drops the log: linux/fs.h, xfs_fs.h.
SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


class Disk:
    """The file system in `folder / "image"`, mounted while used as a context manager."""

    def __init__(self, folder):
        self.image = folder / "image"
        self.mount_point = folder / "disk"
        self.mount_point.mkdir()
        # Not asked of the system: a file system that was cut off does not even answer lstat().
        self.is_mounted = False

    @classmethod
    def made(cls, folder, kind, size_bytes, *, options=()):
        """A new one of this kind. The image takes room only as it is filled."""
        disk = cls(folder)
        with open(disk.image, "wb") as image:
            image.truncate(size_bytes)
        run(*MAKE[kind], *options, disk.image)
        return disk

    def __enter__(self):
        self.mount()
        return self.mount_point

    def __exit__(self, *_):
        if self.is_mounted:
            self.unmount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.mount_point)
        self.is_mounted = True

    def unmount(self):
        run("umount", self.mount_point)
        self.is_mounted = False

    def cut_power(self):
        """From now on nothing reaches the disk; what was not synced is lost with the next mount."""
        folder = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(folder)


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}: {done.stderr}")
    return done.stdout
