"""What of a file is in memory, and letting go of it."""

import ctypes
import mmap
import os

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def resident_pages(path):
    """How many pages of it are in memory."""
    fd = os.open(path, os.O_RDWR)  # the kernel tells only who may write
    length = os.fstat(fd).st_size
    pages = -(-length // PAGE)
    address = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    assert address not in (None, ctypes.c_void_p(-1).value)
    seen = ctypes.create_string_buffer(pages)
    assert libc.mincore(address, length, seen) == 0
    libc.munmap(address, length)
    os.close(fd)
    return sum(byte & 1 for byte in seen.raw)


def drop(path):
    """Let the kernel forget it; returns how many pages are in memory all the same. What a process
    has mapped and touched stays."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    return resident_pages(path)


def page_out(process, path):
    """Take what a running process has mapped of a file out of its memory and the kernel's, as when
    memory is short. False: not allowed here."""
    MADV_PAGEOUT, SYS_PIDFD_OPEN, SYS_PROCESS_MADVISE = 21, 434, 440

    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
        ranges = [line.split()[0].split("-") for line in maps if line.rstrip().endswith(str(path))]
    length = os.path.getsize(path)
    pidfd = libc.syscall(SYS_PIDFD_OPEN, process.pid, 0)
    if pidfd == -1:
        return False
    done = False  # what is locked stays
    for first, last in ranges:
        vector = Vector(int(first, 16), min(length, int(last, 16) - int(first, 16)))
        done |= libc.syscall(SYS_PROCESS_MADVISE, pidfd, ctypes.byref(vector), ctypes.c_size_t(1),
                             MADV_PAGEOUT, 0) > 0
    os.close(pidfd)
    return done
