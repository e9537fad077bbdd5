; VMware's backdoor port: version, size of memory, UUID, what is unknown; the mouse behind it is switched on, says what
; it is, and refuses what isn't there. QEMU answers the same.
; args: -m 24 -uuid 01234567-89ab-cdef-1122-334455667788
; no-bochs: it has another backdoor
%include "test.inc"

PORT  equ 0x5658
MAGIC equ 0x564d5868

%macro CALL_PORT 2              ; %1: command, %2: EBX
    mov eax, MAGIC
    mov ebx, %2
    mov ecx, %1
    mov edx, PORT
    mov esi, 0x5151
    mov edi, 0xd1d1
    in eax, dx
%endmacro

TEST32
    CALL_PORT 10, ~MAGIC
    CHECK_EQ eax, 6
    CHECK_EQ ebx, MAGIC
    CHECK_EQ ecx, 2
    CHECK_EQ edx, PORT
    CALL_PORT 20, 0
    CHECK_EQ eax, 24 << 20
    CHECK_EQ ebx, 0x1177
    CALL_PORT 19, 0
    CHECK_EQ eax, 0x67452301
    CHECK_EQ ebx, 0xefcdab89
    CHECK_EQ ecx, 0x44332211
    CHECK_EQ edx, 0x88776655
    ; Unknown, and without the magic number.
    CALL_PORT 0x77, 5
    CHECK_EQ eax, 0xffffffff
    CHECK_EQ ebx, 5
    mov eax, 1
    mov ecx, 10
    mov edx, PORT
    in eax, dx
    CHECK_EQ eax, 0xffffffff
    CHECK_EQ ecx, 10
    ; The mouse is off.
    CALL_PORT 40, 0
    CHECK_EQ eax, 0xffff0000
    ; It says its version when it is asked for it.
    CALL_PORT 41, 0x45414552
    CALL_PORT 40, 0
    CHECK_EQ eax, 1
    CALL_PORT 39, 1
    CHECK_EQ eax, 0x3442554a
    CHECK_EQ ebx, 1
    CHECK_EQ esi, 0x5151
    CALL_PORT 40, 0
    CHECK_EQ eax, 0
    CALL_PORT 41, 0x53424152
    CALL_PORT 40, 0
    CHECK_EQ eax, 0
    ; What isn't there can't be read, and it is an error.
    CALL_PORT 39, 4
    CHECK_EQ eax, MAGIC
    CALL_PORT 40, 0
    CHECK_EQ eax, 0xffff0000
    CALL_PORT 41, 0x45414552
    CALL_PORT 39, 7
    CALL_PORT 41, 0x45414552
    CALL_PORT 41, 0xf5
    CALL_PORT 40, 0
    shr eax, 16
    CHECK_EQ eax, 0xffff
    ; An OUT is a call, too.
    mov eax, MAGIC
    mov ecx, 10
    mov edx, PORT
    out dx, eax
    CHECK_EQ eax, 6
    PASS
