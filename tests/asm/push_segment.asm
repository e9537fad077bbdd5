; Pushes of segment registers: with 32 bits the stack pointer moves by 4 and only 16 bits are written (Intel since the P6),
; with 16 bits by 2; often enough to run as translated code.
; no-qemu: TCG writes all 32 bits
%include "test.inc"

%macro PUSHED 1                 ; %1: segment register
    mov dword [esp - 4], 0xA5A5A5A5
    mov ebp, esp
    push %1
    sub ebp, esp
    CHECK_EQ ebp, 4
    pop eax
    mov ecx, %1
    and ecx, 0xFFFF
    or ecx, 0xA5A50000
    CHECK_EQ eax, ecx
    mov dword [esp - 4], 0xA5A5A5A5
    mov ebp, esp
    o16 push %1
    sub ebp, esp
    CHECK_EQ ebp, 2
    add esp, 2
    mov eax, [esp - 4]
    mov ecx, %1
    shl ecx, 16
    or ecx, 0xA5A5
    CHECK_EQ eax, ecx
%endmacro

DATA    equ GDT_FREE            ; another selector than DS has

TEST32
    SET_DESCRIPTOR DATA, 0, 0xFFFFF, 0x92, 0xC0
    mov eax, DATA
    mov fs, ax
    xor eax, eax
    mov gs, ax
    mov esi, 300
again:
    PUSHED es
    PUSHED cs
    PUSHED ss
    PUSHED ds
    PUSHED fs
    PUSHED gs
    dec esi
    jnz again
    PASS
