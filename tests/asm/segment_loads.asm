; Loading segment registers: every check of MOV Sreg, LDS and POP, in order, for the GDT and an LDT; the
; accessed bit; what a null selector does.
; no-qemu: TCG lets LTR load a null selector
%include "test.inc"
%define SCALAR(label) ((label) - $$)

DATA0   equ GDT_FREE           ; data, DPL 0, not accessed yet
DATA3   equ GDT_FREE + 8       ; data, DPL 3
READ0   equ GDT_FREE + 16      ; read-only data
CODE0   equ GDT_FREE + 24      ; execute-only code
CODER0  equ GDT_FREE + 32      ; readable code
CONF0   equ GDT_FREE + 40      ; readable conforming code, DPL 0
LDT_SEL equ GDT_FREE + 48
NP0     equ GDT_FREE + 56      ; data, not present
SYS0    equ GDT_FREE + 64      ; a TSS

TEST32
    SET_DESCRIPTOR DATA0, 0, 0xFFFFF, 0x92, 0xC0
    SET_DESCRIPTOR DATA3, 0, 0xFFFFF, 0xF2, 0xC0
    SET_DESCRIPTOR READ0, 0, 0xFFFFF, 0x90, 0xC0
    SET_DESCRIPTOR CODE0, 0, 0xFFFFF, 0x98, 0xC0
    SET_DESCRIPTOR CODER0, 0, 0xFFFFF, 0x9A, 0xC0
    SET_DESCRIPTOR CONF0, 0, 0xFFFFF, 0x9E, 0xC0
    SET_DESCRIPTOR LDT_SEL, SCALAR(ldt), 15, 0x82, 0
    SET_DESCRIPTOR NP0, 0, 0xFFFFF, 0x12, 0xC0
    SET_DESCRIPTOR SYS0, 0, 0x67, 0x89, 0
    ; Data segment registers.
    mov eax, DATA0
    mov fs, ax
    CHECK_EQ byte [gdt + DATA0 + 5], 0x93       ; accessed
    mov eax, DATA0 | 3                          ; RPL 3 > DPL 0
    EXPECT_FAULT 13, DATA0, mov fs, ax
    mov eax, DATA3 | 3
    mov fs, ax
    mov eax, CODE0
    EXPECT_FAULT 13, CODE0, mov fs, ax
    CHECK_EQ byte [gdt + CODE0 + 5], 0x98
    mov eax, CODER0
    mov fs, ax
    mov eax, CODER0 | 3
    EXPECT_FAULT 13, CODER0, mov fs, ax
    mov eax, CONF0 | 3                          ; conforming: no privilege check
    mov fs, ax
    mov eax, NP0
    EXPECT_FAULT 11, NP0, mov gs, ax
    mov eax, NP0 | 3                            ; privilege before presence
    EXPECT_FAULT 13, NP0, mov gs, ax
    mov eax, SYS0
    EXPECT_FAULT 13, SYS0, mov gs, ax
    mov eax, gdt_end - gdt                      ; just beyond the GDT
    EXPECT_FAULT 13, (gdt_end - gdt), mov gs, ax
    ; POP and LFS report the same, with ESP unchanged.
    push dword NP0
    EXPECT_FAULT 11, NP0, pop gs
    CHECK_EQ dword [esp], NP0
    add esp, 4
    mov ebx, 0x1234
    EXPECT_FAULT 11, NP0, lfs ebx, [pointer_np]
    CHECK_EQ ebx, 0x1234
    lfs ebx, [pointer_ok]
    CHECK_EQ ebx, 0x55AA
    ; SS.
    mov eax, DATA3 | 3
    EXPECT_FAULT 13, DATA3, mov ss, ax
    mov eax, DATA3
    EXPECT_FAULT 13, DATA3, mov ss, ax
    mov eax, DATA0 | 1
    EXPECT_FAULT 13, DATA0, mov ss, ax
    mov eax, READ0
    EXPECT_FAULT 13, READ0, mov ss, ax
    mov eax, CODER0
    EXPECT_FAULT 13, CODER0, mov ss, ax
    mov eax, NP0
    EXPECT_FAULT 12, NP0, mov ss, ax
    mov eax, 3
    EXPECT_FAULT 13, 0, mov ss, ax
    mov eax, gdt_end - gdt
    EXPECT_FAULT 13, (gdt_end - gdt), mov ss, ax
    EXPECT_FAULT 13, (gdt_end - gdt), lss ebx, [pointer_beyond]
    ; MOV CS is #UD.
    mov eax, CODE32
    EXPECT_FAULT 6, NO_ERROR, db 0x8E, 0xC8
    ; LDT: none, then one of two entries.
    xor eax, eax
    lldt ax
    mov eax, 4
    EXPECT_FAULT 13, 4, mov fs, ax
    EXPECT_FAULT 13, 4, mov ss, ax
    mov eax, 4 | LDT_SEL
    EXPECT_FAULT 13, LDT_SEL | 4, lldt ax
    mov eax, DATA0
    EXPECT_FAULT 13, DATA0, lldt ax
    mov eax, LDT_SEL
    lldt ax
    mov eax, 4
    mov fs, ax
    CHECK_EQ byte [fs:0], 0xD8
    mov eax, 12
    EXPECT_FAULT 11, 12, mov fs, ax
    mov eax, 20
    EXPECT_FAULT 13, 20, mov fs, ax
    and byte [gdt + LDT_SEL + 5], 0x7F
    mov eax, LDT_SEL
    EXPECT_FAULT 11, LDT_SEL, lldt ax
    mov ecx, 0
    lldt cx                                     ; none again
    mov eax, 4
    EXPECT_FAULT 13, 4, mov fs, ax
    ; LTR.
    mov eax, 0
    EXPECT_FAULT 13, 0, ltr ax
    mov eax, TSS_SEL                            ; busy
    EXPECT_FAULT 13, TSS_SEL, ltr ax
    mov eax, DATA0
    EXPECT_FAULT 13, DATA0, ltr ax
    mov eax, SYS0 | 4
    EXPECT_FAULT 13, SYS0 | 4, ltr ax
    and byte [gdt + SYS0 + 5], 0x7F
    mov eax, SYS0
    EXPECT_FAULT 11, SYS0, ltr ax
    ; A null selector loads; use is #GP(0).
    xor eax, eax
    mov es, ax
    mov edi, 0x70000
    EXPECT_FAULT 13, 0, mov [es:edi], al
    mov es, [null]
    EXPECT_FAULT 13, 0, stosb
    ; From CPL 3: RPL 0 doesn't help, DPL must be 3; CPL 3's SS.
    RUN_USER user_dpl0
    CHECK_EXC 13, DATA32
    RUN_USER user_conforming
    CHECK_USER_DONE
    RUN_USER user_ss
    CHECK_EXC 13, DATA32
    RUN_USER user_null_ss
    CHECK_EXC 13, 0
    RUN_USER user_lldt
    CHECK_EXC 13, 0
    PASS

user_dpl0:
    mov eax, DATA32
    mov fs, ax
    USER_DONE
user_conforming:
    mov eax, CONF0
    mov fs, ax
    mov eax, DATA3
    mov gs, ax
    xor eax, eax
    mov fs, ax
    USER_DONE
user_ss:
    mov eax, DATA32
    mov ss, ax
    USER_DONE
user_null_ss:
    xor eax, eax
    mov ss, ax
    USER_DONE
user_lldt:
    xor eax, eax
    lldt ax
    USER_DONE

align 8
ldt:
    DESCRIPTOR SCALAR(ldt_data), 15, 0x92, 0x40
    DESCRIPTOR 0, 15, 0x12, 0x40
ldt_data: db 0xD8
null:     dw 0
pointer_np:     dd 0x55AA
                dw NP0
pointer_ok:     dd 0x55AA
                dw DATA0
pointer_beyond: dd 0x55AA
                dw gdt_end - gdt
