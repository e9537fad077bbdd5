; JMP, CALL, RET far in protected mode: checks of code segments, conforming code, call gates of 16 and 32 bits (same level and
; inner level with parameters), far returns to an outer level, and what each refuses with which error code.
; no-qemu: TCG gives #GP for a jump gate to a segment that is not present
%include "test.inc"
%define SCALAR(label) ((label) - $$)

CODE_NP  equ GDT_FREE          ; code, not present
CODE3    equ GDT_FREE + 8      ; code, DPL 3
CONF     equ GDT_FREE + 16     ; conforming, DPL 0
GATE     equ GDT_FREE + 24     ; call gate, DPL 3, to CODE32:gate_target, 2 parameters
GATE_NP  equ GDT_FREE + 32
GATE0    equ GDT_FREE + 40     ; DPL 0
GATE_BAD equ GDT_FREE + 48     ; to a data segment
GATE_NUL equ GDT_FREE + 56     ; to the null selector
GATE_CNP equ GDT_FREE + 64     ; to CODE_NP
GATE16   equ GDT_FREE + 72     ; 16-bit gate
SS_NP    equ GDT_FREE + 80
SS_RO    equ GDT_FREE + 88
CODE_LIM equ GDT_FREE + 96     ; code with limit FFF
GATE_CF  equ GDT_FREE + 104    ; to CONF

%macro SET_CALL_GATE 5         ; selector, target selector, offset, access byte, parameters
    mov dword [gdt + ((%1) & ~7)], SCALAR(%3) | ((%2) << 16)
    mov dword [gdt + ((%1) & ~7) + 4], (%5) | ((%4) << 8)
%endmacro

TEST32
    SET_DESCRIPTOR CODE_NP, 0, 0xFFFFF, 0x1A, 0xC0
    SET_DESCRIPTOR CODE3, 0, 0xFFFFF, 0xFA, 0xC0
    SET_DESCRIPTOR CONF, 0, 0xFFFFF, 0x9E, 0xC0
    SET_DESCRIPTOR SS_NP, 0, 0xFFFFF, 0x12, 0xC0
    SET_DESCRIPTOR SS_RO, 0, 0xFFFFF, 0x90, 0xC0
    SET_DESCRIPTOR CODE_LIM, 0, 0xFFF, 0x9A, 0x40
    SET_CALL_GATE GATE, CODE32, gate_target, 0xEC, 2
    SET_CALL_GATE GATE_NP, CODE32, gate_target, 0x6C, 0
    SET_CALL_GATE GATE0, CODE32, gate_target, 0x8C, 2
    SET_CALL_GATE GATE_BAD, DATA32, gate_target, 0xEC, 0
    SET_CALL_GATE GATE_NUL, 0, gate_target, 0xEC, 0
    SET_CALL_GATE GATE_CNP, CODE_NP, gate_target, 0xEC, 0
    SET_CALL_GATE GATE16, CODE32, gate16_target, 0xE4, 1
    SET_CALL_GATE GATE_CF, CONF, conf_target, 0xEC, 0
    ; JMP.
    EXPECT_FAULT 13, 0, jmp 0:0
    EXPECT_FAULT 13, 0, jmp 3:0
    EXPECT_FAULT 13, DATA32, jmp DATA32:0
    EXPECT_FAULT 13, SCALAR(gdt_end) - SCALAR(gdt), jmp (SCALAR(gdt_end) - SCALAR(gdt)):0
    EXPECT_FAULT 11, CODE_NP, jmp CODE_NP:0
    EXPECT_FAULT 13, CODE3, jmp CODE3:0          ; less privilege
    EXPECT_FAULT 13, CODE32, jmp (CODE32 | 3):0  ; RPL > CPL
    xor eax, eax
    lldt ax
    EXPECT_FAULT 13, 4, jmp 4:0                  ; no LDT
    EXPECT_FAULT 11, GATE_NP, jmp GATE_NP:0
    EXPECT_FAULT 13, DATA32, jmp GATE_BAD:0
    EXPECT_FAULT 13, 0, jmp GATE_NUL:0
    EXPECT_FAULT 11, CODE_NP, jmp GATE_CNP:0
    EXPECT_FAULT 13, TSS_SEL, jmp TSS_SEL:0      ; busy
    jmp CONF:in_conf
in_conf:
    mov eax, cs
    CHECK_EQ eax, CONF
    jmp GATE:0
after_gate_jump:
    mov eax, cs
    CHECK_EQ eax, CODE32
    jmp CODE16:in16
bits 16
in16:
    mov eax, 0x11112222
    jmp dword CODE32:back32
bits 32
back32:
    CHECK_EQ eax, 0x11112222
    ; CALL and RET at the same level.
    mov ebp, esp
    mov byte [how], 1
    call CODE32:callee
    CHECK_EQ esp, ebp
    push dword 1
    push dword 2
    call GATE:0x1234                             ; the offset counts for nothing, nor do parameters
    CHECK_EQ esp, ebp
    EXPECT_FAULT 11, CODE_NP, call CODE_NP:0
    EXPECT_FAULT 13, DATA32, call DATA32:0
    EXPECT_FAULT 11, GATE_NP, call GATE_NP:0
    EXPECT_FAULT 13, 0, call GATE_NUL:0
    CHECK_EQ esp, ebp
    ; RET.
    push dword 0
    push dword 0x1000
    EXPECT_FAULT 13, 0, retf
    mov dword [esp + 4], DATA32
    EXPECT_FAULT 13, DATA32, retf
    mov dword [esp + 4], CODE_NP
    EXPECT_FAULT 11, CODE_NP, retf
    mov dword [esp + 4], CODE3
    EXPECT_FAULT 13, CODE3, retf
    mov dword [esp + 4], CODE32 | 3
    EXPECT_FAULT 13, CODE32, retf
    add esp, 8
    ; To an outer level: SS checks.
    push dword UDATA32
    push dword USTACK_TOP
    push dword UCODE32
    push dword user_after_retf
    mov dword [esp + 12], 0
    EXPECT_FAULT 13, 0, retf
    mov dword [esp + 12], DATA32 | 3
    EXPECT_FAULT 13, DATA32, retf
    mov dword [esp + 12], UDATA32 & ~3
    EXPECT_FAULT 13, UDATA32 & ~3, retf
    mov dword [esp + 12], SS_NP | 3              ; DPL 0: privilege first
    EXPECT_FAULT 13, SS_NP, retf
    or byte [gdt + SS_NP + 5], 0x60
    EXPECT_FAULT 12, SS_NP, retf
    and byte [gdt + SS_NP + 5], ~0x60
    mov dword [esp + 12], UDATA32
    mov eax, DATA32
    mov fs, ax                                   ; must become null
    mov eax, UDATA32
    mov gs, ax                                   ; may stay
    mov eax, 3
    mov es, ax                                   ; null: loses its RPL
    RESUME_AT after_retf
    retf
after_retf:
    CHECK_USER_DONE
    CHECK_EQ dword [exc_sp], USTACK_TOP
    CHECK_EQ ebx, 0
    CHECK_EQ ecx, UDATA32
    CHECK_EQ edx, 0
    add esp, 16
    CHECK_EQ esp, ebp
    ; From CPL 3.
    RUN_USER user_jump_kernel
    CHECK_EXC 13, CODE32
    RUN_USER user_gate0
    CHECK_EXC 13, GATE0
    RUN_USER user_gate_jump
    CHECK_EXC 13, CODE32
    RUN_USER user_gate
    CHECK_USER_DONE
    CHECK_EQ dword [exc_sp], USTACK_TOP
    CHECK_EQ dword [seen_cs], CODE32
    CHECK_EQ dword [seen_ss], DATA32
    CHECK_EQ dword [seen_sp], KSTACK_TOP - 24
    CHECK_EQ dword [seen_param1], 0xAAAA5555
    CHECK_EQ dword [seen_param2], 0x12345678
    CHECK_EQ dword [seen_old_sp], USTACK_TOP - 8
    CHECK_EQ dword [seen_old_ss], UDATA32
    RUN_USER user_gate16
    CHECK_USER_DONE
    CHECK_EQ dword [exc_sp], USTACK_TOP & 0xFFFF     ; 16 bits went through the gate
    CHECK_EQ word [seen_param1], 0x7788
    RUN_USER user_conforming
    CHECK_USER_DONE
    CHECK_EQ dword [exc_cs], CONF | 3
    RUN_USER user_gate_conforming
    CHECK_USER_DONE
    CHECK_EQ dword [exc_cs], CONF | 3
    ; The inner stack of a call gate.
    ; A bad inner stack: #TS, #SS with its selector. Level 1, so that the exception itself has a good one.
    SET_DESCRIPTOR CODE_NP, 0, 0xFFFFF, 0xBA, 0xC0
    SET_CALL_GATE GATE, CODE_NP | 1, gate1_target, 0xEC, 0
    mov dword [TSS + 12], 0x70000
    mov dword [TSS + 16], 0
    RUN_USER user_gate1
    CHECK_EXC 10, 0
    EXC_IP_IS user_gate1
    CHECK_EQ dword [exc_sp], USTACK_TOP
    mov dword [TSS + 16], SCALAR(gdt_end) - SCALAR(gdt) + 1
    RUN_USER user_gate1
    CHECK_EXC 10, SCALAR(gdt_end) - SCALAR(gdt)
    mov dword [TSS + 16], DATA32                 ; RPL 0
    RUN_USER user_gate1
    CHECK_EXC 10, DATA32
    mov dword [TSS + 16], DATA32 | 1             ; DPL 0
    RUN_USER user_gate1
    CHECK_EXC 10, DATA32
    SET_DESCRIPTOR SS_RO, 0, 0xFFFFF, 0xB0, 0xC0
    mov dword [TSS + 16], SS_RO | 1              ; read-only
    RUN_USER user_gate1
    CHECK_EXC 10, SS_RO
    SET_DESCRIPTOR SS_RO, 0, 0xFFFFF, 0x32, 0xC0
    RUN_USER user_gate1                          ; not present
    CHECK_EXC 12, SS_RO
    SET_DESCRIPTOR SS_RO, 0, 0x6FFF, 0xB2, 0x40
    RUN_USER user_gate1                          ; beyond its limit
    CHECK_EXC 12, SS_RO
    SET_DESCRIPTOR SS_RO, 0, 0xFFFFF, 0xB2, 0xC0
    RUN_USER user_gate1
    CHECK_USER_DONE
    CHECK_EQ dword [exc_cs], CODE_NP | 1
    CHECK_EQ dword [exc_ss], SS_RO | 1
    CHECK_EQ dword [exc_sp], 0x70000 - 16
    CHECK_EQ byte [gdt + SS_RO + 5], 0xB3        ; accessed
    ; The TSS too short for it.
    SET_DESCRIPTOR SS_NP, TSS, 12 + 4, 0x89, 0
    mov eax, SS_NP
    ltr ax
    RUN_USER user_gate1
    CHECK_EXC 10, SS_NP
    PASS

gate_target:                                     ; JMP comes here with nothing pushed, CALL with CS:EIP
    cmp byte [how], 0
    je after_gate_jump
    cmp byte [how], 1
    jne .inner
    retf 8
.inner:
    mov eax, cs
    mov [seen_cs], eax
    mov eax, ss
    mov [seen_ss], eax
    mov [seen_sp], esp
    mov eax, [esp + 8]
    mov [seen_param1], eax
    mov eax, [esp + 12]
    mov [seen_param2], eax
    mov eax, [esp + 16]
    mov [seen_old_sp], eax
    mov eax, [esp + 20]
    mov [seen_old_ss], eax
    retf 8
gate16_target:
    mov ax, [esp + 4]
    mov [seen_param1], ax
    o16 retf 2
callee:
    retf
conf_target:
    mov eax, 1
    int 0x80
user_after_retf:
    mov ebx, fs
    mov ecx, gs
    mov edx, es
    int 0x80
user_jump_kernel:
    jmp CODE32:0
user_gate0:
    call GATE0:0
user_gate_jump:
    jmp GATE:0
user_gate:
    mov byte [how], 2
    push dword 0x12345678
    push dword 0xAAAA5555
    call GATE:0
    int 0x80
user_gate16:
    push word 0x7788
    call GATE16:0
    int 0x80
user_conforming:
    jmp CONF:conf_target
user_gate_conforming:
    call GATE_CF:0

user_gate1:
    call GATE:0
gate1_target:
    int 0x80

how: db 0
align 4
seen_cs: dd 0
seen_ss: dd 0
seen_sp: dd 0
seen_param1: dd 0
seen_param2: dd 0
seen_old_sp: dd 0
seen_old_ss: dd 0
