; Interrupt delivery in protected mode: gate types and sizes, DPL, presence, IDT limit, target code segment, inner stacks; the
; EXT bit of error codes; conforming handlers; what the frame and the flags are.
; no-qemu: TCG never sets EXT
%include "test.inc"
%define SCALAR(label) ((label) - $$)

CODE_NP  equ GDT_FREE
CODE1    equ GDT_FREE + 8      ; DPL 1
CONF     equ GDT_FREE + 16
STK1     equ GDT_FREE + 24
CODE_LIM equ GDT_FREE + 32     ; limit FFF
CODE3    equ GDT_FREE + 40     ; DPL 3

%macro GATE 4                  ; vector, selector, label, access byte
    mov dword [IDT + (%1) * 8], SCALAR(%3) | ((%2) << 16)
    mov dword [IDT + (%1) * 8 + 4], (%4) << 8
%endmacro

TEST32
    SET_DESCRIPTOR CODE_NP, 0, 0xFFFFF, 0x1A, 0xC0
    SET_DESCRIPTOR CODE1, 0, 0xFFFFF, 0xBA, 0xC0
    SET_DESCRIPTOR CONF, 0, 0xFFFFF, 0x9E, 0xC0
    SET_DESCRIPTOR STK1, 0, 0xFFFFF, 0xB2, 0xC0
    SET_DESCRIPTOR CODE_LIM, 0, 0xFFF, 0x9A, 0x40
    SET_DESCRIPTOR CODE3, 0, 0xFFFFF, 0xFA, 0xC0
    ; INT n with a bad gate: vector * 8 + 2, EXT clear.
    GATE 0x50, CODE32, handler, 0x0E             ; not present
    EXPECT_FAULT 11, 0x50 * 8 + 2, int 0x50
    GATE 0x50, CODE32, handler, 0x8C             ; a call gate
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    GATE 0x50, CODE32, handler, 0x9E             ; S set
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    GATE 0x50, 0, handler, 0x8E                  ; null code selector
    EXPECT_FAULT 13, 0, int 0x50
    GATE 0x50, DATA32, handler, 0x8E
    EXPECT_FAULT 13, DATA32, int 0x50
    GATE 0x50, SCALAR(gdt_end) - SCALAR(gdt), handler, 0x8E
    EXPECT_FAULT 13, SCALAR(gdt_end) - SCALAR(gdt), int 0x50
    GATE 0x50, CODE_NP, handler, 0x8E
    EXPECT_FAULT 11, CODE_NP, int 0x50
    GATE 0x50, CODE3, handler, 0x8E              ; less privilege than CPL
    EXPECT_FAULT 13, CODE3, int 0x50
    ; Beyond the limit of the IDT.
    sub esp, 8
    mov word [esp], 0x50 * 8 - 1
    mov dword [esp + 2], IDT
    lidt [esp]
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    mov word [esp], 0x50 * 8 + 6
    lidt [esp]
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    mov word [esp], 0x7FF
    lidt [esp]
    add esp, 8
    ; The same for an exception: EXT set. (#UD through vector 6.)
    GATE 6, CODE32, handler, 0x0E
    EXPECT_FAULT 11, 6 * 8 + 3, ud2
    GATE 6, DATA32, handler, 0x8E
    EXPECT_FAULT 13, DATA32 | 1, ud2
    GATE 6, CODE_NP, handler, 0x8E
    EXPECT_FAULT 11, CODE_NP | 1, ud2
    GATE 6, 0, handler, 0x8E
    EXPECT_FAULT 13, 1, ud2
    ; INT3 and INTO count as software, INT1 (F1) as an event.
    GATE 3, CODE_NP, handler, 0xEE
    EXPECT_FAULT 11, CODE_NP, int3
    ; Gates of both sizes and kinds: frame and flags.
    GATE 0x50, CODE32, handler, 0x8F             ; trap gate leaves IF
    mov ebp, esp
    sti
    int 0x50
    cli
    CHECK_EQ dword [seen_flags], 0x200
    CHECK_EQ dword [seen_pushed], 0x200
    CHECK_EQ dword [seen_sp], STACK_TOP - 12
    CHECK_EQ esp, ebp
    GATE 0x50, CODE32, handler, 0x8E
    sti
    int 0x50
    cli
    CHECK_EQ dword [seen_flags], 0
    CHECK_EQ dword [seen_pushed], 0x200
    GATE 0x50, CODE32, handler16, 0x86
    int 0x50
    CHECK_EQ dword [seen_sp], STACK_TOP - 6
    CHECK_EQ esp, ebp
    ; A conforming handler keeps CPL 3 and the stack.
    GATE 0x50, CONF, handler_conforming, 0xEE
    RUN_USER user_int50
    CHECK_USER_DONE
    CHECK_EQ dword [exc_cs], CONF | 3
    CHECK_EQ dword [exc_sp], USTACK_TOP - 12
    ; A software interrupt from CPL 3 needs gate DPL 3; an exception doesn't.
    GATE 0x50, CODE32, handler, 0x8E
    RUN_USER user_int50
    CHECK_EXC 13, 0x50 * 8 + 2
    GATE 0x50, CODE32, handler, 0x0E             ; DPL before presence
    RUN_USER user_int50
    CHECK_EXC 13, 0x50 * 8 + 2
    GATE 0x50, CODE32, handler, 0x6E
    RUN_USER user_int50
    CHECK_EXC 11, 0x50 * 8 + 2
    ; The inner stack. Level 1, as exceptions need level 0's.
    GATE 0x50, CODE1, handler1, 0xEE
    mov dword [TSS + 12], 0x70000
    mov dword [TSS + 16], 0
    RUN_USER user_int50
    CHECK_EXC 10, 0
    EXC_IP_IS user_int50
    mov dword [TSS + 16], DATA32 | 1
    RUN_USER user_int50
    CHECK_EXC 10, DATA32
    mov dword [TSS + 16], STK1
    RUN_USER user_int50
    CHECK_EXC 10, STK1
    and byte [gdt + STK1 + 5], 0x7F
    mov dword [TSS + 16], STK1 | 1
    RUN_USER user_int50
    CHECK_EXC 12, STK1
    SET_DESCRIPTOR STK1, 0, 0x6FFF, 0xB2, 0x40
    RUN_USER user_int50
    CHECK_EXC 12, STK1
    SET_DESCRIPTOR STK1, 0, 0xFFFFF, 0xB2, 0xC0
    RUN_USER user_int50
    CHECK_USER_DONE
    CHECK_EQ dword [exc_cs], CODE1 | 1
    CHECK_EQ dword [exc_ss], STK1 | 1
    CHECK_EQ dword [exc_sp], 0x70000 - 20
    CHECK_EQ dword [0x70000 - 4], UDATA32
    CHECK_EQ dword [0x70000 - 8], USTACK_TOP
    CHECK_EQ dword [0x70000 - 12], 2
    CHECK_EQ dword [0x70000 - 16], UCODE32
    CHECK_EQ dword [0x70000 - 20], SCALAR(user_int50) + 2
    ; An exception to level 1 with a bad stack: EXT.
    GATE 6, CODE1, handler1, 0x8E
    mov dword [TSS + 16], DATA32 | 1
    RUN_USER user_ud2
    CHECK_EXC 10, DATA32 | 1
    mov dword [TSS + 16], 0
    RUN_USER user_ud2
    CHECK_EXC 10, 1
    ; NT and TF are clear in the handler, RF is set in the image of a fault.
    GATE 6, CODE32, stub6, 0x8E
    EXPECT_FAULT 6, NO_ERROR, ud2
    and dword [exc_flags], 0x30700
    CHECK_EQ dword [exc_flags], 0x10000
    ; The instruction pointer of the gate beyond the code limit: #GP(EXT).
    mov dword [IDT + 0x50 * 8], 0x1000 | (CODE_LIM << 16)
    mov dword [IDT + 0x50 * 8 + 4], 0xEE00
    EXPECT_FAULT 13, 0, int 0x50
    PASS

stub6:
    push dword 0
    push dword 6
    jmp exc32
handler:
    pushfd
    pop dword [seen_flags]
    and dword [seen_flags], 0x30700
    mov eax, [esp + 8]
    and eax, 0x30700
    mov [seen_pushed], eax
    mov [seen_sp], esp
    iretd
handler16:
    mov [seen_sp], esp
    o16 iret
handler_conforming:
    mov eax, esp
    int 0x80
handler1:
    int 0x80
user_int50:
    int 0x50
user_ud2:
    ud2

align 4
seen_flags: dd 0
seen_pushed: dd 0
seen_sp: dd 0
