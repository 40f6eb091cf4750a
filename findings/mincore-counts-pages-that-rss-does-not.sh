#!/bin/sh
# Seen with Linux 6.18, Python 3.11.
# A private page that was read and never written is the kernel's one page of zeros. mincore() says that it is resident, and so
# does the "present" bit of /proc/self/pagemap; smaps and statm count it in no RSS, nor in Referenced.
# One would have guessed that all four speak of the same pages, so that what mincore calls resident is at most the mapping's Rss.
# Users meet it with a large `vec![0; n]` that they only look into: tools that ask page by page say that it takes memory, while
# RSS stays small.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > pages.py <<'PYTHON'
import ctypes, mmap

PAGE, PAGES = 4096, 4096
libc = ctypes.CDLL(None, use_errno=True)
block = mmap.mmap(-1, PAGE * PAGES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
# One page of zeros of 2 MiB would say the same of 512 pages at a time.
block.madvise(mmap.MADV_NOHUGEPAGE)
start = ctypes.addressof(ctypes.c_char.from_buffer(block))


def by_mincore():
    vector = (ctypes.c_ubyte * PAGES)()
    assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(PAGE * PAGES), vector) == 0
    return sum(byte & 1 for byte in vector)


def by_pagemap():
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(start // PAGE * 8)
        words = file.read(PAGES * 8)
    return sum(words[at + 7] >> 7 for at in range(0, len(words), 8))


def by_smaps():
    is_ours = False
    for line in open("/proc/self/smaps"):
        first = line.split()[0]
        if "-" in first and not first[0].isupper():
            low, high = (int(part, 16) for part in first.split("-"))
            is_ours = low <= start < high
        elif is_ours and first == "Rss:":
            return int(line.split()[1]) * 1024 // PAGE


def show(moment):
    figures = by_mincore(), by_pagemap(), by_smaps()
    print(f"{moment}: mincore %d, pagemap %d, smaps %d pages" % figures)
    return figures


assert show("untouched") == (0, 0, 0)
for at in range(0, PAGE * PAGES, PAGE):
    assert block[at] == 0
assert show("read") == (PAGES, PAGES, 0)
for at in range(0, PAGE * PAGES, PAGE):
    block[at] = 1
assert show("written") == (PAGES, PAGES, PAGES)
PYTHON
python3 pages.py
