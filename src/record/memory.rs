//! The memory a region lies in: a mapped file, a memfd, or the heap.
//!
//! **Guarantee:** a mapped file's pages belong to the kernel: what was stored is there for a reader
//! however the process died, and all blocks of the file exist before the first store, so that a
//! full disk is an error at creation and never a SIGBUS later. **Lost:** with a memfd, everything
//! once the last process that holds it is dead; with the heap, everything with the process.

use std::io;
use std::path::Path;
use std::ptr::NonNull;

use super::sync::{AtomicU64, Ordering, Words};

/// The words of a region, and what keeps them.
pub(crate) struct Memory {
    first: NonNull<AtomicU64>,
    words: usize,
    backing: Backing,
}

enum Backing {
    #[cfg(target_os = "linux")]
    /// The file stays open for its lock.
    Mapped { _map: memmap2::MmapRaw, file: std::fs::File, path: Option<std::path::PathBuf> },
    /// Allocated as a boxed slice is.
    Heap,
}

// SAFETY: `first` points to `words` atomics that `backing` keeps in place until the `Memory` is
// dropped, and atomics may be used from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.backing {
            // The mapping unmaps itself.
            #[cfg(target_os = "linux")]
            Backing::Mapped { .. } => {}
            Backing::Heap => {
                let slice = NonNull::slice_from_raw_parts(self.first, self.words);
                // SAFETY: `heap` allocated exactly this slice as a box of it would be, its zeros are
                // valid atomics, and nobody else frees it.
                drop(unsafe { Box::from_raw(slice.as_ptr()) });
            }
        }
    }
}

impl Words for Memory {
    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.all()[index]
    }

    #[inline]
    fn store_words(&self, at: usize, source: &[u64]) {
        // One check of the range instead of one for each word.
        for (word, value) in self.all()[at..at + source.len()].iter().zip(source) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}

impl Memory {
    #[inline]
    fn all(&self) -> &[AtomicU64] {
        // SAFETY: `first` points to `self.words` initialised atomics, which live as long as
        // `self`. Other processes may write the same memory at any time, which atomics allow.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }

    /// `bytes` of zeroed heap, where there is as much.
    #[cfg(not(lastwords_loom))]
    pub(crate) fn heap(bytes: usize) -> Option<Memory> {
        use std::alloc::{Layout, alloc_zeroed};
        let words = (bytes / 8).max(1);
        let layout = Layout::array::<AtomicU64>(words).expect("a layout below 264 MiB");
        // SAFETY: the layout is not empty.
        let allocated = unsafe { alloc_zeroed(layout) };
        let first = NonNull::new(allocated.cast::<AtomicU64>())?;
        Some(Memory { first, words, backing: Backing::Heap })
    }

    /// `bytes` of heap, word by word: a model's atomics are more than zeros.
    #[cfg(lastwords_loom)]
    pub(crate) fn heap(bytes: usize) -> Option<Memory> {
        let boxed: Box<[AtomicU64]> =
            std::iter::repeat_with(|| AtomicU64::new(0)).take(bytes / 8).collect();
        let words = boxed.len();
        let first = NonNull::from(Box::leak(boxed)).cast();
        Some(Memory { first, words, backing: Backing::Heap })
    }

    /// A new file `path` of `bytes`, all of whose blocks exist, mapped shared; mode 0600, and
    /// its life lock is held.
    ///
    /// # Errors
    /// Whatever creating, allocating or mapping says; the file is then gone again. A file beyond the
    /// limit on a file's size is not tried: that would end the process by SIGXFSZ.
    #[cfg(target_os = "linux")]
    pub(crate) fn file(path: &Path, bytes: usize) -> io::Result<Memory> {
        use rustix::fs::{FallocateFlags, Mode, OFlags};
        is_below_limit(bytes)?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
        // Before anything else: by this lock one that is being made is told from one that never will
        // be. Without it only another PID namespace knows less.
        let _ = super::byte_lock::share(&file, super::fate::LIFE);
        let made = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes as u64)
            .or_else(|error| match error {
                // A filesystem without fallocate: blocks come by writing them.
                rustix::io::Errno::OPNOTSUPP => write_zeros(&file, bytes),
                other => Err(other),
            })
            .map_err(io::Error::from)
            .and_then(|()| Memory::map(file, bytes, Some(path.to_owned())));
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// The whole of an existing file of this user's, mapped shared. Whoever shortens the file takes
    /// this process down with it (SIGBUS); only its owner can.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(path: &Path) -> io::Result<Memory> {
        use rustix::fs::{FileType, Mode, OFlags};
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_ours {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let bytes = usize::try_from(stat.st_size).unwrap_or(0);
        if bytes == 0 || bytes > super::snapshot::MOST_BYTES as usize {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Memory::map(file.into(), bytes, Some(path.to_owned()))
    }

    /// Holds the life lock, with all others that record here, until the file is closed.
    #[cfg(target_os = "linux")]
    pub(crate) fn share_life(&self) {
        if let Backing::Mapped { file, .. } = &self.backing {
            // Without it only another PID namespace knows less.
            let _ = super::byte_lock::share(file, super::fate::LIFE);
        }
    }

    /// Takes the report lock; `false` where another process has it.
    #[cfg(target_os = "linux")]
    pub(crate) fn lock_report(&self) -> bool {
        match &self.backing {
            Backing::Mapped { file, .. } => {
                super::byte_lock::take(file, super::remains::REPORT).unwrap_or(false)
            }
            Backing::Heap => true,
        }
    }

    /// Elsewhere nobody else reports a process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn lock_report(&self) -> bool {
        true
    }

    /// `bytes` of memory that has a descriptor but no name. The limit on a file's size holds for it, too.
    #[cfg(target_os = "linux")]
    pub(crate) fn memfd(bytes: usize) -> io::Result<Memory> {
        use rustix::fs::MemfdFlags;
        is_below_limit(bytes)?;
        let file = rustix::fs::memfd_create("lastwords-region", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, bytes as u64)?;
        Memory::map(file.into(), bytes, None)
    }

    /// Elsewhere than on Linux recording is kept in the process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn file(_path: &Path, _bytes: usize) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Elsewhere than on Linux there are no regions of other processes.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(_path: &Path) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Elsewhere than on Linux recording is kept in the process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn memfd(_bytes: usize) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    fn map(
        file: std::fs::File,
        bytes: usize,
        path: Option<std::path::PathBuf>,
    ) -> io::Result<Memory> {
        let map = memmap2::MmapOptions::new().len(bytes).map_raw(&file)?;
        // Without it the first touch of a page brings 31 others along, all of them zeros. Only a hint.
        let _ = map.advise(memmap2::Advice::Random);
        let first = NonNull::new(map.as_mut_ptr().cast::<AtomicU64>())
            .ok_or_else(|| io::Error::other("a mapping at address zero"))?;
        // The mapping is page-aligned and zero or stored-by-us bytes, all of which are valid
        // atomics; `map` is moved into the backing and unmaps only when that is dropped.
        Ok(Memory { first, words: bytes / 8, backing: Backing::Mapped { _map: map, file, path } })
    }

    /// The file's descriptor, if there is a file.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        match &self.backing {
            #[cfg(target_os = "linux")]
            Backing::Mapped { file, .. } => Some(std::os::fd::AsRawFd::as_raw_fd(file)),
            Backing::Heap => None,
        }
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.words * 8
    }

    /// The file's name, if it has one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.backing {
            #[cfg(target_os = "linux")]
            Backing::Mapped { path, .. } => path.as_deref(),
            Backing::Heap => None,
        }
    }

    /// Makes the pages of these bytes present and writable. A hint: where the kernel knows no such
    /// call (before Linux 5.14), they come when they are needed.
    pub(crate) fn prefault(&self, offset: usize, bytes: usize) {
        #[cfg(target_os = "linux")]
        if let Backing::Mapped { .. } = self.backing
            && offset + bytes <= self.words * 8
        {
            let first = self.first.as_ptr().wrapping_byte_add(offset);
            // SAFETY: the range lies inside of the mapping, which starts at a page, as do the
            // parts of a region; populating changes no byte of it.
            unsafe { libc::madvise(first.cast(), bytes, libc::MADV_POPULATE_WRITE) };
        }
        let _ = (offset, bytes);
    }

    /// The address of word `at`, for a system call that writes up to `bytes` there.
    ///
    /// # Panics
    /// Where the memory has fewer.
    #[cfg(target_os = "linux")]
    pub(crate) fn address(&self, at: usize, bytes: usize) -> *mut u8 {
        let range = &self.all()[at..at + bytes.div_ceil(8)];
        // Atomics may be written through a shared reference.
        range.as_ptr().cast_mut().cast()
    }

    /// Copies whole words from byte `offset` on, which is a multiple of 8; how many bytes there
    /// were. It reads the memory itself, not the file: a program may have closed all descriptors.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        debug_assert!(offset.is_multiple_of(8));
        let first = usize::try_from(offset / 8).unwrap_or(usize::MAX).min(self.words);
        let mut read = 0;
        for (bytes, at) in buffer.chunks_exact_mut(8).zip(first..self.words) {
            // Acquire: a state read first is not newer than the words read after it.
            let word = self.word(at).load(Ordering::Acquire);
            bytes.copy_from_slice(&word.to_ne_bytes());
            read += 8;
        }
        read
    }
}

/// Whether this process may make a file of so many bytes (`RLIMIT_FSIZE`, setrlimit(2)).
#[cfg(target_os = "linux")]
fn is_below_limit(bytes: usize) -> io::Result<()> {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::Fsize).current {
        Some(most) if bytes as u64 > most => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the limit on a file's size is {most} bytes, of which {bytes} are needed"),
        )),
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn write_zeros(file: &impl std::os::fd::AsFd, bytes: usize) -> Result<(), rustix::io::Errno> {
    let zeros = [0; 64 * 1024];
    let mut written = 0;
    while written < bytes {
        let chunk = &zeros[..zeros.len().min(bytes - written)];
        written += rustix::io::pwrite(file, chunk, written as u64)?;
    }
    Ok(())
}
