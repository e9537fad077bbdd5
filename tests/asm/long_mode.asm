; Long mode: interrupt gates (IST, alignment, presence, type, code segment), IRETQ (null SS, non-canonical, privilege), far transfers,
; compatibility mode and back, SYSCALL/SYSRET, SWAPGS, what exists only outside 64-bit mode.
; args: -cpu qemu64
; no-bochs: another error code for a non-canonical IST stack (all else agrees)
; no-qemu: TCG takes IRETQ's RIP without a canonical check and never sets EXT
%include "test.inc"
%define SCALAR(label) ((label) - $$)

CODE_LD equ GDT_FREE            ; L and D both set
CODE_NP equ GDT_FREE + 8
GATE    equ GDT_FREE + 16       ; call gate, 16 bytes
BADGATE equ GDT_FREE + 32       ; its upper half has a type

%macro GATE64 4                 ; vector, selector, label, attributes (type << 8 | IST)
    mov dword [abs IDT + (%1) * 16], SCALAR(%3) | ((%2) << 16)
    mov dword [abs IDT + (%1) * 16 + 4], %4
    mov qword [abs IDT + (%1) * 16 + 8], 0
%endmacro

TEST64
    SET_DESCRIPTOR CODE_LD, 0, 0xFFFFF, 0x9A, 0xE0
    SET_DESCRIPTOR CODE_NP, 0, 0xFFFFF, 0x1A, 0xA0
    mov dword [abs gdt + GATE], SCALAR(gate_target) | (CODE64 << 16)
    mov dword [abs gdt + GATE + 4], 0xEC00
    mov qword [abs gdt + GATE + 8], 0
    mov dword [abs gdt + BADGATE], SCALAR(gate_target) | (CODE64 << 16)
    mov dword [abs gdt + BADGATE + 4], 0xEC00
    mov qword [abs gdt + BADGATE + 8], 0
    mov byte [abs gdt + BADGATE + 13], 1
    ; Bad gates.
    GATE64 0x50, CODE64, handler, 0x0E00
    EXPECT_FAULT 11, 0x50 * 8 + 2, int 0x50
    GATE64 0x50, CODE64, handler, 0x8500         ; no task gates here
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    GATE64 0x50, CODE64, handler, 0x8600         ; no 16-bit gates
    EXPECT_FAULT 13, 0x50 * 8 + 2, int 0x50
    GATE64 0x50, CODE32, handler, 0x8E00         ; not 64-bit code
    EXPECT_FAULT 13, CODE32, int 0x50
    GATE64 0x50, CODE_LD, handler, 0x8E00
    EXPECT_FAULT 13, CODE_LD, int 0x50
    GATE64 0x50, CODE_NP, handler, 0x8E00
    EXPECT_FAULT 11, CODE_NP, int 0x50
    GATE64 0x50, 0, handler, 0x8E00
    EXPECT_FAULT 13, 0, int 0x50
    GATE64 0x50, CODE64, handler, 0x8E00
    mov dword [abs IDT + 0x50 * 16 + 8], 0x8000  ; non-canonical target
    EXPECT_FAULT 13, 0, int 0x50
    GATE64 6, CODE32, handler, 0x8E00            ; an exception: EXT
    EXPECT_FAULT 13, CODE32 | 1, ud2
    GATE64 6, CODE64, stub6, 0x8E00
    ; The frame: aligned to 16, SS:RSP always there; IST switches without a change of level.
    GATE64 0x50, CODE64, handler, 0x8E00
    lea rsp, [rsp - 3]
    mov rbp, rsp
    int 0x50
    CHECK_EQ rsp, rbp
    lea rsp, [rsp + 3]
    CHECK_EQ64 qword [abs seen_sp], STACK_TOP - 16 - 40
    CHECK_EQ64 qword [abs seen_old_sp], STACK_TOP - 3
    GATE64 0x50, CODE64, handler, 0x8E01
    int 0x50
    CHECK_EQ64 qword [abs seen_sp], IST1_TOP - 40
    CHECK_EQ64 qword [abs seen_ss], DATA32
    mov dword [abs TSS + 0x2C + 4], 0x8000       ; IST2: non-canonical
    GATE64 0x50, CODE64, handler, 0x8E02
    EXPECT_FAULT 12, 0, int 0x50
    ; From CPL 3: SS becomes null.
    GATE64 0x50, CODE64, handler, 0xEE00
    RUN_USER user_int50
    CHECK_USER_DONE
    CHECK_EQ64 qword [abs seen_ss_now], 0
    CHECK_EQ64 qword [abs seen_sp], KSTACK_TOP - 40
    ; IRETQ.
    push 0
    push STACK_TOP
    push 2
    push CODE64
    push after_iret
    iretq                                        ; a null SS is fine at CPL 0
after_iret:
    mov eax, ss
    CHECK_EQ eax, 0
    mov eax, DATA32
    mov ss, ax
    mov rsp, STACK_TOP
    push 0
    push USTACK_TOP
    push 2
    push UCODE64
    push user_done
    EXPECT_FAULT 13, 0, iretq                    ; not for CPL 3
    mov qword [rsp + 32], UDATA32
    mov qword [rsp + 8], CODE64 | 3
    EXPECT_FAULT 13, CODE64, iretq
    mov qword [rsp + 8], CODE_LD
    EXPECT_FAULT 13, CODE_LD, iretq
    mov qword [rsp + 8], CODE_NP
    EXPECT_FAULT 11, CODE_NP, iretq
    mov qword [rsp + 8], UCODE64
    mov dword [rsp + 4], 0x8000
    EXPECT_FAULT 13, 0, iretq
    mov dword [rsp + 4], 0
    or qword [rsp + 16], 0x4000
    mov rsp, STACK_TOP
    pushfq
    or qword [rsp], 0x4000                       ; NT: no tasks to return to
    popfq
    EXPECT_FAULT 13, 0, iretq
    mov rsp, STACK_TOP
    pushfq
    and qword [rsp], ~0x4000
    popfq
    ; Far jumps and calls.
    EXPECT_FAULT 13, CODE_LD, jmp far dword [abs ptr_ld]
    EXPECT_FAULT 11, CODE_NP, jmp far dword [abs ptr_np]
    EXPECT_FAULT 13, TSS_SEL, jmp far dword [abs ptr_tss]
    EXPECT_FAULT 13, BADGATE, call far dword [abs ptr_badgate]
    call far dword [abs ptr_gate]
    RUN_USER user_gate
    CHECK_USER_DONE
    CHECK_EQ64 qword [abs seen_sp], KSTACK_TOP - 32
    CHECK_EQ64 qword [abs seen_ss_now], 0
    ; Compatibility mode: addresses wrap at 4 GB, an exception comes back to 64-bit code.
    RUN_USER user_compat, UCODE32
    CHECK_EXC 6, NO_ERROR
    CHECK_EQ dword [abs exc_cs], UCODE32
    CHECK_EQ ebx, 0x13
    RUN_USER user_compat_arpl, UCODE32
    CHECK_USER_DONE
    ; SYSCALL and SYSRET.
    mov ecx, 0xC0000080
    rdmsr
    and eax, ~1
    wrmsr
    EXPECT_FAULT 6, NO_ERROR, syscall
    or eax, 1
    mov ecx, 0xC0000080
    rdmsr
    or eax, 1
    wrmsr
    mov ecx, 0xC0000081
    xor eax, eax
    mov edx, CODE64 | ((UDATA32 - 8) << 16)
    wrmsr
    mov ecx, 0xC0000082
    mov eax, syscall_entry
    xor edx, edx
    wrmsr
    mov ecx, 0xC0000084
    mov eax, 0x700
    wrmsr
    RUN_USER user_syscall
    CHECK_USER_DONE
    CHECK_EQ ebx, 0x51
    CHECK_EQ dword [abs exc_cs], UCODE64
    CHECK_EQ dword [abs exc_ss], UDATA32
    ; SWAPGS.
    mov ecx, 0xC0000102
    mov eax, 0x71000
    xor edx, edx
    wrmsr
    mov byte [abs 0x71010], 0x99
    swapgs
    mov al, [gs:0x10]
    CHECK_EQ al, 0x99
    swapgs
    ; Accesses near one another, with another base in between, often enough to be translated.
    mov ecx, 0xC0000101
    mov eax, 0x72000
    xor edx, edx
    wrmsr
    mov dword [abs 0x72010], 1
    mov dword [abs 0x72014], 2
    mov dword [abs 0x71010], 0x10
    mov dword [abs 0x71014], 0x20
    mov ecx, 2000
.bases:
    mov ebx, [gs:0x10]
    add ebx, [gs:0x14]
    swapgs
    add ebx, [gs:0x10]
    add ebx, [gs:0x14]
    swapgs
    CHECK_EQ ebx, 0x33
    dec ecx
    jnz .bases
    mov eax, 7
    xor ecx, ecx
    cpuid
    test bl, 1                                   ; FSGSBASE
    jz .no_bases
    mov rax, cr4
    bts eax, 16
    mov cr4, rax
    mov ecx, 2000
.write_bases:
    mov eax, 0x72000
    db 0xF3, 0x48, 0x0F, 0xAE, 0xD8              ; WRGSBASE RAX
    mov ebx, [gs:0x10]
    add ebx, [gs:0x14]
    mov eax, 0x71000
    db 0xF3, 0x48, 0x0F, 0xAE, 0xD8              ; WRGSBASE RAX
    add ebx, [gs:0x10]
    add ebx, [gs:0x14]
    CHECK_EQ ebx, 0x33
    dec ecx
    jnz .write_bases
.no_bases:
    RUN_USER user_swapgs
    CHECK_EXC 13, 0
    ; Gone in 64-bit mode.
    EXPECT_FAULT 6, NO_ERROR, db 0x06            ; PUSH ES
    EXPECT_FAULT 6, NO_ERROR, db 0x60            ; PUSHA
    EXPECT_FAULT 6, NO_ERROR, db 0x9A, 0, 0, 0, 0, 8, 0
    EXPECT_FAULT 6, NO_ERROR, db 0xEA, 0, 0, 0, 0, 8, 0
    EXPECT_FAULT 6, NO_ERROR, db 0xCE            ; INTO
    EXPECT_FAULT 6, NO_ERROR, db 0x27            ; DAA
    EXPECT_FAULT 6, NO_ERROR, db 0xD5, 10        ; AAD
    PASS

stub6:
    push 0
    push 6
    jmp exc64
handler:
    mov [abs seen_sp], rsp
    push rax
    mov rax, [rsp + 32]
    mov [abs seen_old_sp], rax
    mov rax, [rsp + 40]
    mov [abs seen_ss], rax
    mov eax, ss
    mov [abs seen_ss_now], rax
    pop rax
    iretq
gate_target:
    mov [abs seen_sp], rsp
    mov eax, ss
    mov [abs seen_ss_now], rax
    o64 retf
user_int50:
    int 0x50
user_done:
    USER_DONE
user_gate:
    call far dword [abs ptr_gate]
    USER_DONE
bits 32
user_compat:
    mov eax, 0x12
    inc eax                                      ; 40h-4Fh are INC and DEC here
    mov ebx, eax
    ud2
user_compat_arpl:
    mov ax, 0
    mov cx, 3
    arpl ax, cx
    int 0x80
bits 64
user_syscall:
    mov rdi, rsp
    syscall
after_syscall:
    USER_DONE
syscall_entry:
    mov ebx, 0x50
    cmp rcx, after_syscall
    jne .bad
    cmp rsp, rdi
    jne .bad
    mov eax, cs
    cmp eax, CODE64
    jne .bad
    mov eax, ss
    cmp eax, CODE64 + 8
    jne .bad
    inc ebx
.bad:
    o64 sysret
user_swapgs:
    swapgs

align 8
ptr_ld: dd 0
        dw CODE_LD
ptr_np: dd 0
        dw CODE_NP
ptr_tss: dd 0
        dw TSS_SEL
ptr_gate: dd 0
        dw GATE
ptr_badgate: dd 0
        dw BADGATE
align 8
seen_sp: dq 0
seen_old_sp: dq 0
seen_ss: dq 0
seen_ss_now: dq 0
