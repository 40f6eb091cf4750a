//! All mappings of the process at one moment: bytes of each kind, and anonymous memory region by
//! region, until somebody says whose it is.

use crate::ffi::memory::{self, OwnedBytes, OwnedSlice};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::ffi::residence::{self, Smaps};
use crate::resident::smaps::{File, Mapping, Of, SmapsReader};

/// Regions that are told apart.
pub const MOST_REGIONS: usize = 16 << 10;
/// Pages that the system is asked about at once.
const PAGES: usize = 16 << 10;
/// What lies above a thread's stack and belongs to it, at most, in bytes.
const MOST_ABOVE: u64 = 64 << 10;
/// Bytes read of the system's list at once.
const TEXT: usize = 32 << 10;

/// What is resident, in bytes, but for `swap` and `stacks_mapped`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parts {
    pub resident: u64,
    pub swap: u64,
    pub huge: u64,
    pub brk: u64,
    pub stacks: u64,
    pub stacks_mapped: u64,
    pub programs: u64,
    pub files: u64,
    pub shared: u64,
    pub recorder: u64,
    pub recorder_file: u64,
    pub kernel: u64,
}

/// One region of anonymous memory: start, end, resident bytes with marks in the lowest bits.
type Region = [u64; 3];
const IS_HEAP: u64 = 1;
/// Below it is memory that may not be touched.
const HAS_GUARD: u64 = 2;
const MARKS: u64 = IS_HEAP | HAS_GUARD;

/// The mappings.
pub struct MemoryMap {
    pub parts: Parts,
    regions: OwnedSlice<Region>,
    count: usize,
    /// Resident in anonymous memory that found no room among the regions.
    beyond: u64,
    vector: OwnedBytes,
    /// The region that was found last: blocks that are asked for one after the other are
    /// neighbours.
    last: usize,
    /// Where the last mapping ended that may not be touched.
    guard_end: usize,
}

impl MemoryMap {
    /// Those of the process now; `profile` is the inode of the recorder's file. `None` where the
    /// system does not tell, or has no memory: it is asked for some once.
    pub fn read(smaps: &Smaps, profile: u64) -> Option<MemoryMap> {
        static NO_MEMORY: AtomicBool = AtomicBool::new(false);
        if !smaps.is_open() || NO_MEMORY.load(Ordering::Relaxed) {
            return None;
        }
        let Some(mut text) = OwnedBytes::zeroed(TEXT) else {
            NO_MEMORY.store(true, Ordering::Relaxed);
            return None;
        };
        let mut map = MemoryMap {
            parts: Parts::default(),
            regions: OwnedSlice::zeroed(MOST_REGIONS)?,
            count: 0,
            beyond: 0,
            vector: OwnedBytes::zeroed(PAGES)?,
            last: 0,
            guard_end: 0,
        };
        let mut reader = SmapsReader::default();
        let mut files = Files::default();
        let is_whole = smaps.each_line(&mut text, |line| {
            if let Some(mapping) = reader.line(line) {
                map.add(&mapping, profile, &mut files);
            }
        });
        if let Some(mapping) = reader.end() {
            map.add(&mapping, profile, &mut files);
        }
        map.settle(&mut files);
        (is_whole && map.parts.resident > 0).then_some(map)
    }

    fn add(&mut self, mapping: &Mapping, profile: u64, files: &mut Files) {
        let parts = &mut self.parts;
        parts.resident += mapping.resident;
        parts.swap += mapping.swap;
        parts.huge += mapping.huge;
        match mapping.of {
            Of::File(file) if file.inode == profile => parts.recorder_file += mapping.resident,
            Of::File(file) => {
                if files.current != file {
                    self.settle(files);
                    files.current = file;
                }
                files.resident += mapping.resident;
                files.is_program |= mapping.is_executable;
            }
            Of::Brk => {
                parts.brk += mapping.resident;
                self.keep(mapping, IS_HEAP);
            }
            Of::Stack => {
                parts.stacks += mapping.resident;
                parts.stacks_mapped += (mapping.end - mapping.start) as u64;
            }
            Of::Kernel => parts.kernel += mapping.resident,
            Of::Memory => parts.shared += mapping.resident,
            Of::Anonymous => self.keep(mapping, 0),
        }
    }

    /// A file whose mappings have all been seen: it is a program's if one of them is executable.
    fn settle(&mut self, files: &mut Files) {
        let files = core::mem::take(files);
        match files.is_program {
            true => self.parts.programs += files.resident,
            false => self.parts.files += files.resident,
        }
    }

    /// Keeps a region. Guards and what is reserved hold nobody's memory.
    fn keep(&mut self, mapping: &Mapping, mark: u64) {
        if mapping.resident == 0 && !mapping.is_readable {
            self.guard_end = mapping.end;
            return;
        }
        let guard = match self.guard_end == mapping.start {
            true => HAS_GUARD,
            false => 0,
        };
        let region = [
            mapping.start as u64,
            mapping.end as u64,
            mapping.resident | mark | guard,
        ];
        match self.regions.get_mut(self.count) {
            Some(place) => {
                *place = region;
                self.count += 1;
            }
            None => self.beyond += mapping.resident,
        }
    }

    /// Whether some regions are not told apart.
    pub fn is_cut(&self) -> bool {
        self.beyond > 0
    }

    /// Number of the region that holds `address`.
    fn find(&mut self, address: usize) -> Option<usize> {
        let address = address as u64;
        let holds = |region: &Region| (region[0]..region[1]).contains(&address);
        let regions = &self.regions[..self.count];
        if regions.get(self.last).is_some_and(holds) {
            return Some(self.last);
        }
        let at = regions.partition_point(|region| region[1] <= address);
        regions.get(at).is_some_and(holds).then(|| {
            self.last = at;
            at
        })
    }

    /// Whether a region holds `address`.
    pub fn holds(&mut self, address: usize) -> bool {
        self.find(address).is_some()
    }

    /// The region that holds `address` is the allocator's.
    pub fn is_heap_at(&mut self, address: usize) {
        if let Some(at) = self.find(address) {
            self.regions[at][2] |= IS_HEAP;
        }
    }

    /// Regions that begin where an arena of the GNU C library does are the allocator's, though
    /// nothing in them may be in use: `HEAP_MAX_SIZE` of glibc's malloc/arena.c, 64 MiB.
    pub fn are_heap_at_arenas(&mut self) {
        const ARENA: u64 = 64 << 20;
        for region in &mut self.regions[..self.count] {
            if region[0].is_multiple_of(ARENA) {
                region[2] |= IS_HEAP;
            }
        }
    }

    /// Bytes of whole pages of `len` bytes at `start` that are resident.
    pub fn resident(&mut self, start: usize, len: usize) -> u64 {
        residence::resident(start, len, &mut self.vector) as u64
    }

    /// What the whole region that holds `address` has resident, as RSS counts it.
    pub fn resident_around(&mut self, address: usize) -> u64 {
        let region = self.find(address).map(|at| self.regions[at]);
        region.map_or(0, |region| region[2] & !MARKS)
    }

    /// Takes what is resident of `len` bytes at `start` out of its region, and gives it: it is
    /// somebody else's.
    fn take_out(&mut self, start: usize, len: usize) -> u64 {
        let Some(at) = self.find(start) else {
            return 0;
        };
        // What goes on beyond the region is another's.
        let len = len.min((self.regions[at][1] as usize).saturating_sub(start));
        let resident = self.resident(start, len);
        let word = &mut self.regions[at][2];
        let taken = resident.min(*word & !MARKS);
        *word -= taken;
        taken
    }

    /// The recorder's own memory is no region's.
    pub fn take_out_own(&mut self) {
        for (start, len) in memory::own() {
            let taken = self.take_out_from(start, len);
            self.parts.recorder += taken;
        }
    }

    /// A thread's stack, whose upper end is `top`. Its lower end is where the region begins, as
    /// there is a guard below; a stack without one is not told from other memory.
    pub fn take_out_stack(&mut self, top: usize) {
        let Some(at) = top.checked_sub(1).and_then(|last| self.find(last)) else {
            return;
        };
        let [start, end, word] = self.regions[at];
        if word & HAS_GUARD == 0 {
            return;
        }
        let len = top - start as usize;
        self.parts.stacks += self.take_out(start as usize, len);
        // The thread's control block and variables are above.
        self.parts.stacks_mapped += (end - start).min(len as u64 + MOST_ABOVE);
    }

    /// Data of a program or library from `start` to `end`, where no file is.
    pub fn take_out_program(&mut self, start: usize, end: usize) {
        let taken = self.take_out_from(start, end.saturating_sub(start));
        self.parts.programs += taken;
    }

    /// As [`take_out`](Self::take_out), of what may lie in several regions.
    fn take_out_from(&mut self, start: usize, len: usize) -> u64 {
        let end = start.saturating_add(len) as u64;
        let first = self.regions[..self.count].partition_point(|region| region[1] <= start as u64);
        let mut taken = 0;
        for at in first..self.count {
            let [from, to, _] = self.regions[at];
            if from >= end {
                break;
            }
            let from = from.max(start as u64);
            taken += self.take_out(from as usize, (to.min(end) - from) as usize);
        }
        taken
    }

    /// The regions that are the allocator's: start and end of each, in order.
    pub fn heap_regions(&self) -> impl Iterator<Item = (usize, usize)> {
        let regions = self.regions[..self.count].iter();
        let heap = regions.filter(|region| region[2] & IS_HEAP != 0);
        heap.map(|region| (region[0] as usize, region[1] as usize))
    }

    /// Bytes in regions that are the allocator's, and in all others.
    pub fn anonymous(&self) -> (u64, u64) {
        let (mut heap, mut others) = (0, self.beyond);
        for region in &self.regions[..self.count] {
            let resident = region[2] & !MARKS;
            match region[2] & IS_HEAP {
                0 => others += resident,
                _ => heap += resident,
            }
        }
        (heap, others)
    }
}

/// MemoryMap of one file, side by side.
#[derive(Default)]
struct Files {
    current: File,
    resident: u64,
    is_program: bool,
}
