//! Stubs for libunwind, which would add 261 KB of unwinder and symboliser for backtraces that are empty in a stripped
//! file anyway. A panic aborts: it prints its message and unwinds nothing.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there are no frames.
const END_OF_STACK: c_int = 5;

macro_rules! stand_ins {
    ($($name:ident -> $type:ty = $value:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> $type {
                $value
            }
        )*
    };
}

stand_ins! {
    _Unwind_Backtrace -> c_int = END_OF_STACK;
    _Unwind_RaiseException -> c_int = END_OF_STACK;
    _Unwind_DeleteException -> () = ();
    _Unwind_GetCFA -> usize = 0;
    _Unwind_GetDataRelBase -> usize = 0;
    _Unwind_GetIP -> usize = 0;
    _Unwind_GetIPInfo -> usize = 0;
    _Unwind_GetLanguageSpecificData -> *mut c_void = std::ptr::null_mut();
    _Unwind_GetRegionStart -> usize = 0;
    _Unwind_GetTextRelBase -> usize = 0;
    _Unwind_FindEnclosingFunction -> *mut c_void = std::ptr::null_mut();
    _Unwind_SetGR -> () = ();
    _Unwind_SetIP -> () = ();
}

/// Called at the end of landing pads of the standard library; never reached, since nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    std::process::abort()
}
