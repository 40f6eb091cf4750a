/* Rust's standard library asks Windows for random numbers by this DLL, which Wine has from version 9 on; Debian 12 has 8. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T len) {
    return RtlGenRandom(data, len);
}
