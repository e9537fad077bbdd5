; Limits and types: expand-up with both granularities, expand-down with 16 and 32 bits, read-only, execute-only; #SS
; through SS and EBP; the code limit; accesses that straddle a limit.
; no-qemu: TCG doesn't check segment limits
%include "test.inc"
%define SCALAR(label) ((label) - $$)

SMALL   equ GDT_FREE           ; base 70000, limit FF bytes
DOWN    equ GDT_FREE + 8       ; expand-down, 32-bit, base 70000, limit FFF: 1000..FFFFFFFF
DOWN16  equ GDT_FREE + 16      ; expand-down, 16-bit: 1000..FFFF
EXEC    equ GDT_FREE + 24      ; execute-only code
RCODE   equ GDT_FREE + 32      ; readable code
CLIMIT  equ GDT_FREE + 40      ; code that ends inside the instruction at run_last
STK     equ GDT_FREE + 48      ; a stack that begins at 10000 (expand-down)
PAGES   equ GDT_FREE + 56      ; limit in pages: 2 -> 2FFF

TEST32
    SET_DESCRIPTOR SMALL, 0x70000, 0xFF, 0x92, 0x40
    SET_DESCRIPTOR DOWN, 0x70000, 0xFFF, 0x96, 0x40
    SET_DESCRIPTOR DOWN16, 0x70000, 0xFFF, 0x96, 0
    SET_DESCRIPTOR EXEC, 0, 0xFFFFF, 0x98, 0xC0
    SET_DESCRIPTOR RCODE, 0, 0xFFFFF, 0x9A, 0xC0
    SET_DESCRIPTOR CLIMIT, 0, SCALAR(run_last) + 2, 0x9A, 0x40
    SET_DESCRIPTOR STK, 0, 0xF, 0x96, 0xC0
    SET_DESCRIPTOR PAGES, 0x70000, 2, 0x92, 0xC0
    mov eax, SMALL
    mov fs, ax
    mov dword [fs:0xFC], 0x11223344
    EXPECT_FAULT 13, 0, mov eax, [fs:0xFD]
    EXPECT_FAULT 13, 0, mov [fs:0x100], al
    EXPECT_FAULT 13, 0, mov eax, [fs:0xFFFFFFF0]
    CHECK_EQ dword [0x700FC], 0x11223344
    mov eax, PAGES
    mov fs, ax
    mov al, [fs:0x2FFF]
    EXPECT_FAULT 13, 0, mov al, [fs:0x3000]
    ; Read-modify-write, string and bit instructions.
    mov eax, SMALL
    mov es, ax
    mov fs, ax
    EXPECT_FAULT 13, 0, inc dword [fs:0xFD]
    mov eax, SMALL
    mov es, ax
    mov edi, 0xFE
    mov ecx, 4
    mov eax, 0
    cld
    EXPECT_FAULT 13, 0, rep stosb
    CHECK_EQ edi, 0x100
    CHECK_EQ ecx, 2
    mov eax, 0x800
    EXPECT_FAULT 13, 0, bts [fs:0], eax
    ; Expand-down.
    mov eax, DOWN
    mov gs, ax
    mov al, [gs:0x1000]
    EXPECT_FAULT 13, 0, mov al, [gs:0xFFF]
    EXPECT_FAULT 13, 0, mov eax, [gs:0xFFD]
    EXPECT_FAULT 13, 0, mov eax, [gs:0]
    mov eax, DOWN16
    mov gs, ax
    mov al, [gs:0xFFFF]
    EXPECT_FAULT 13, 0, mov ax, [gs:0xFFFF]
    EXPECT_FAULT 13, 0, mov al, [gs:0x10000]
    EXPECT_FAULT 13, 0, mov al, [gs:0xFFF]
    ; Types.
    mov eax, RCODE
    mov gs, ax
    mov al, [gs:0]
    EXPECT_FAULT 13, 0, mov [gs:0x70000], al
    EXPECT_FAULT 13, 0, mov [cs:0x70000], al
    mov al, [cs:0x70000]
    jmp EXEC:in_exec
in_exec:
    EXPECT_FAULT 13, 0, mov al, [cs:0x70000]
    ; Stack segment: #SS(0) by SS, ESP, EBP.
    mov eax, STK
    mov ss, ax
    EXPECT_FAULT 12, 0, mov al, [ss:0x8000]
    mov eax, STK
    mov ss, ax
    mov ebp, 0x8000
    EXPECT_FAULT 12, 0, mov al, [ebp]
    mov eax, STK
    mov ss, ax
    EXPECT_FAULT 12, 0, mov al, [esp + 0xFFFF0000]
    mov eax, STK
    mov ss, ax
    EXPECT_FAULT 13, 0, mov al, [fs:ebp]
    ; The code limit: a jump beyond it, and running off its end.
    jmp CLIMIT:in_short

in_short:
    RESUME_AT after_jump
jump_at:
    jmp run_last + 3
    FAIL "no #GP"
after_jump:
    CHECK_EXC 13, 0
    EXC_IP_IS jump_at
    RESUME_AT after_run
    jmp CLIMIT:run_off
after_run:
    CHECK_EXC 13, 0
    EXC_IP_IS run_last
    PASS
    align 16
run_off:
    nop
run_last:
    mov eax, 0x12345678
    nop
