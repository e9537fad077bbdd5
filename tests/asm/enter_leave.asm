; ENTER and LEAVE: operand and stack sizes, nesting, faults of the last stack address; a 16-bit stack keeps the upper
; half of ESP, and what ENTER calls the frame is the whole of ESP.
%include "test.inc"

; Copies of this many frame pointers lie below the frame at 7F000.
%macro FRAME_POINTERS 1
%assign %%i 1
%rep %1
    mov dword [0x7F000 - 4 * %%i], 0xF0F00000 + %%i
%assign %%i %%i + 1
%endrep
%endmacro

TEST32
    ; Stack and operand of 32 bits.
    mov esp, 0x80000
    mov ebp, 0x12345678
    enter 0x20, 0
    CHECK_EQ ebp, 0x7FFFC
    CHECK_EQ esp, 0x7FFDC
    CHECK_EQ dword [ebp], 0x12345678
    leave
    CHECK_EQ esp, 0x80000
    CHECK_EQ ebp, 0x12345678
    ; Nested: the outer frames' pointers are copied, then the own one; the level counts modulo 32.
    FRAME_POINTERS 3
    mov ebp, 0x7F000
    enter 8, 32 + 4
    CHECK_EQ ebp, 0x7FFFC
    CHECK_EQ esp, 0x80000 - 4 * 5 - 8
    CHECK_EQ dword [0x7FFFC], 0x7F000
    CHECK_EQ dword [0x7FFF8], 0xF0F00001
    CHECK_EQ dword [0x7FFF0], 0xF0F00003
    CHECK_EQ dword [0x7FFEC], 0x7FFFC
    ; 16-bit operands: the frame is the lower half of ESP, the upper half of EBP stays.
    mov esp, 0x80000
    mov ebp, 0xABCD1234
    o16 enter 2, 1
    CHECK_EQ ebp, 0xABCDFFFE
    CHECK_EQ esp, 0x80000 - 2 * 2 - 2
    CHECK_EQ word [0x7FFFE], 0x1234
    CHECK_EQ word [0x7FFFC], 0xFFFE

    ; A 16-bit stack: segment DATA16, base 0; ESP keeps its upper half throughout.
    mov eax, DATA16
    mov ss, ax
    mov esp, 0x7E000
    mov ebp, 0x11112222
    enter 0x10, 1
    mov ebx, esp
    mov eax, DATA32
    mov ss, ax
    mov esp, STACK_TOP
    CHECK_EQ ebp, 0x7DFFC
    CHECK_EQ ebx, 0x7E000 - 8 - 0x10
    CHECK_EQ dword [0xDFFC], 0x11112222
    CHECK_EQ dword [0xDFF8], 0x7DFFC
    mov eax, DATA16
    mov ss, ax
    mov esp, 0x7DFC0
    mov ebp, 0x1DFFC             ; LEAVE too uses the lower half alone
    leave
    mov ebx, esp
    mov eax, DATA32
    mov ss, ax
    mov esp, STACK_TOP
    CHECK_EQ ebx, 0x7E000
    CHECK_EQ ebp, 0x11112222
    PASS
