# For aarch64 from another machine: cmake -DCMAKE_TOOLCHAIN_FILE=... with MACLIP_SYSROOT, a Debian root of arm64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(MACLIP_SYSROOT "$ENV{MACLIP_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH ${MACLIP_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH) # ONNX Runtime's headers are anywhere
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${MACLIP_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${MACLIP_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${MACLIP_SYSROOT}/usr/share/pkgconfig)
# Headers that differ from processor to processor, after the compiler's own.
set(CMAKE_C_FLAGS_INIT "-idirafter ${MACLIP_SYSROOT}/usr/include/aarch64-linux-gnu")
set(CMAKE_CXX_FLAGS_INIT ${CMAKE_C_FLAGS_INIT})
# What the libraries need in turn.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${MACLIP_SYSROOT}/usr/lib/aarch64-linux-gnu:${MACLIP_SYSROOT}/lib/aarch64-linux-gnu")
set(CMAKE_SHARED_LINKER_FLAGS_INIT ${CMAKE_EXE_LINKER_FLAGS_INIT})
