; Hardware task switch: JMP, CALL, IRET and interrupts through 32- and 16-bit TSSs and task gates; busy bits, back link, NT, CR0.TS,
; what is saved; and what is refused, in which task, with which error code.
; no-qemu: TCG doesn't set RF in what a fault's task gate saves
%include "test.inc"
%define SCALAR(label) ((label) - $$)

TSS_A    equ GDT_FREE           ; the other task, 32-bit, at 70000
TSS_16   equ GDT_FREE + 8       ; a 16-bit one at 71000
GATE_A   equ GDT_FREE + 16      ; task gate to TSS_A
TSS_NP   equ GDT_FREE + 24
TSS_SHRT equ GDT_FREE + 32      ; limit 66h
GATE_BAD equ GDT_FREE + 40      ; task gate to a data segment
GATE_LDT equ GDT_FREE + 48      ; task gate with an LDT selector
DATA_NP  equ GDT_FREE + 56
CODE_NP  equ GDT_FREE + 64
CODE3    equ GDT_FREE + 72
A        equ 0x70000
B        equ 0x71000

%macro TASK_GATE 3              ; selector, TSS selector, access byte
    mov dword [gdt + (%1)], (%2) << 16
    mov dword [gdt + (%1) + 4], (%3) << 8
%endmacro

%macro INIT_A 1                 ; EIP
    push dword %1
    call init_a
%endmacro

TEST32
    SET_DESCRIPTOR TSS_A, A, 0x67, 0x89, 0
    SET_DESCRIPTOR TSS_16, B, 43, 0x81, 0
    TASK_GATE GATE_A, TSS_A, 0xE5
    SET_DESCRIPTOR TSS_NP, A, 0x67, 0x09, 0
    SET_DESCRIPTOR TSS_SHRT, A, 0x66, 0x89, 0
    TASK_GATE GATE_BAD, DATA32, 0xE5
    TASK_GATE GATE_LDT, 12, 0xE5
    SET_DESCRIPTOR DATA_NP, 0, 0xFFFFF, 0x12, 0xC0
    SET_DESCRIPTOR CODE_NP, 0, 0xFFFFF, 0x1A, 0xC0
    SET_DESCRIPTOR CODE3, 0, 0xFFFFF, 0xFA, 0xC0
    ; The current TSS is the harness's (TSS_SEL); a CALL nests, IRET comes back.
    INIT_A task_a
    mov ebx, 0xB0B0
    mov esi, 0x51
    mov ebp, esp
    clts
    call TSS_A:0x1234
after_call:
    CHECK_EQ esp, ebp
    CHECK_EQ ebx, 0xB0B0
    CHECK_EQ esi, 0x51
    CHECK_EQ dword [seen_eax], 0xAAAA0001
    CHECK_EQ dword [seen_tr], TSS_A
    CHECK_EQ word [A], TSS_SEL                   ; back link
    CHECK_EQ dword [TSS + 0x20], after_call      ; saved EIP, ESP
    CHECK_EQ dword [TSS + 0x38], ebp
    CHECK_EQ dword [TSS + 0x34], ebx
    CHECK_EQ word [TSS + 0x4C], CODE32
    mov eax, [seen_flags]
    and eax, 0x4200
    CHECK_EQ eax, 0x4000                         ; NT set
    CHECK_EQ byte [seen_busy_a], 0x8B
    CHECK_EQ byte [seen_busy_old], 0x8B          ; both busy while nested
    CHECK_EQ byte [gdt + TSS_A + 5], 0x89        ; IRET left it
    CHECK_EQ byte [gdt + TSS_SEL + 5], 0x8B
    mov eax, [A + 0x24]
    and eax, 0x4000
    CHECK_EQ eax, 0                              ; IRET saves NT = 0
    mov eax, cr0
    and eax, 8
    CHECK_EQ eax, 8                              ; TS
    pushfd
    pop eax
    and eax, 0x4000
    CHECK_EQ eax, 0
    ; Again through a task gate: it goes on after its IRET.
    mov dword [seen_eax], 0
    call GATE_A:0
    CHECK_EQ dword [seen_eax], 0xAAAA0002
    CHECK_EQ esp, ebp
    ; JMP there and JMP back: busy bits move, no link, no NT.
    INIT_A task_jmp
    mov word [A], 0x5555
    jmp TSS_A:0
    CHECK_EQ word [A], 0x5555
    CHECK_EQ byte [seen_busy_a], 0x8B
    CHECK_EQ byte [seen_busy_old], 0x89
    CHECK_EQ byte [gdt + TSS_A + 5], 0x89
    CHECK_EQ byte [gdt + TSS_SEL + 5], 0x8B
    mov eax, [seen_flags]
    and eax, 0x4000
    CHECK_EQ eax, 0
    CHECK_EQ esp, ebp
    ; An interrupt through a task gate; an exception pushes its error code on the new task's stack.
    INIT_A task_int
    mov dword [IDT + 0x50 * 8], TSS_A << 16
    mov dword [IDT + 0x50 * 8 + 4], 0x8500
    int 0x50
after_int:
    CHECK_EQ dword [seen_eax], 0x1234
    CHECK_EQ dword [seen_sp], 0x72000
    CHECK_EQ dword [TSS + 0x20], after_int
    INIT_A task_gp
    mov dword [IDT + 13 * 8], TSS_A << 16
    mov dword [IDT + 13 * 8 + 4], 0x8500
    mov eax, 0xFFF8
gp_at:
    mov fs, ax
gp_after:
    CHECK_EQ dword [seen_error], 0xFFF8
    CHECK_EQ dword [seen_sp], 0x72000 - 4
    CHECK_EQ dword [seen_ip], gp_at
    mov eax, [seen_flags]
    and eax, 0x10000
    CHECK_EQ eax, 0x10000                        ; RF in the saved image
    mov eax, stubs32 + 13 * STUB_SIZE
    mov [IDT + 13 * 8], ax
    mov word [IDT + 13 * 8 + 2], CODE32
    mov dword [IDT + 13 * 8 + 4], 0x8E00
    ; A 16-bit TSS.
    call init_b
    mov ebp, esp
    call TSS_16:0
    CHECK_EQ esp, ebp
    CHECK_EQ word [seen_eax], 0xB001
    CHECK_EQ dword [seen_tr], TSS_16
    CHECK_EQ word [B], TSS_SEL
    CHECK_EQ byte [gdt + TSS_16 + 5], 0x81

    ; Refused in the old task.
    EXPECT_FAULT 13, TSS_SEL, jmp TSS_SEL:0      ; busy
    EXPECT_FAULT 13, TSS_SEL, call TSS_SEL:0
    EXPECT_FAULT 11, TSS_NP, jmp TSS_NP:0
    EXPECT_FAULT 10, TSS_SHRT, jmp TSS_SHRT:0
    EXPECT_FAULT 13, DATA32, jmp GATE_BAD:0
    EXPECT_FAULT 13, 12, jmp GATE_LDT:0
    and byte [gdt + GATE_A + 5], 0x7F
    EXPECT_FAULT 11, GATE_A, jmp GATE_A:0
    or byte [gdt + GATE_A + 5], 0x80
    RUN_USER user_jmp
    CHECK_EXC 13, TSS_A
    mov dword [IDT + 0x50 * 8], DATA32 << 16
    EXPECT_FAULT 13, DATA32, int 0x50
    mov dword [IDT + 0x50 * 8], TSS_NP << 16
    EXPECT_FAULT 11, TSS_NP, int 0x50
    ; IRET with NT: the back link must name a busy TSS.
    pushfd
    or dword [esp], 0x4000
    popfd
    mov word [TSS], TSS_A
    RESUME_AT after_bad_iret
    iretd
after_bad_iret:
    CHECK_EXC 10, TSS_A
    pushfd
    or dword [esp], 0x4000
    popfd
    mov word [TSS], 12
    RESUME_AT after_bad_iret2
    iretd
after_bad_iret2:
    CHECK_EXC 10, 12

    ; Refused in the new task: the handler finds the new TSS current. (Levels are the same, so the handler
    ; runs on the new task's stack.)
%macro NEW_TASK_FAULT 3+        ; vector, error, instruction that spoils the TSS
    INIT_A task_never
    %3
    mov dword [home], %%home
    RESUME_AT %%after
    jmp TSS_A:0
%%home:
    FAIL "no exception"
%%after:
    CHECK_EXC %1, %2
    EXC_IP_IS task_never
    str eax
    CHECK_EQ eax, TSS_A
    mov eax, %%back
    mov [TSS + 0x20], eax
    clts
    jmp TSS_SEL:0
%%back:
%endmacro
    NEW_TASK_FAULT 11, DATA_NP, mov word [A + 0x54], DATA_NP      ; DS
    NEW_TASK_FAULT 10, CODE_NP, mov word [A + 0x58], CODE_NP | 3  ; FS: RPL 3 > DPL 0
    NEW_TASK_FAULT 10, TSS_SEL, mov word [A + 0x48], TSS_SEL      ; ES: a system segment
    NEW_TASK_FAULT 10, SCALAR(gdt_end) - SCALAR(gdt), mov word [A + 0x5C], SCALAR(gdt_end) - SCALAR(gdt)
    ; LDT, CS and SS faults leave no usable stack of level 0 in the new task; these go to a third task.
    mov dword [IDT + 10 * 8], TSS_16 << 16
    mov dword [IDT + 10 * 8 + 4], 0x8500
    mov dword [IDT + 11 * 8], TSS_16 << 16
    mov dword [IDT + 11 * 8 + 4], 0x8500
    mov dword [IDT + 12 * 8], TSS_16 << 16
    mov dword [IDT + 12 * 8 + 4], 0x8500
%macro THIRD_TASK 2+            ; error, instruction
    INIT_A task_never
    %2
    call init_b
    mov word [B + 14], task_b_fault
    mov dword [seen_error], -1
    mov dword [TSS + 0x20], 0
    mov dword [home], %%home
    jmp TSS_A:0
%%home:
    movzx eax, word [seen_error]
    CHECK_EQ eax, %1
    CHECK_EQ word [B], TSS_A                     ; the faulting task was the new one
    and byte [gdt + TSS_A + 5], 0xFD
%endmacro
    THIRD_TASK DATA32, mov word [A + 0x60], DATA32        ; LDT
    THIRD_TASK 12, mov word [A + 0x60], 12
    THIRD_TASK 0, mov word [A + 0x4C], 0                  ; CS null
    THIRD_TASK DATA32, mov word [A + 0x4C], DATA32        ; CS is data
    THIRD_TASK CODE32, call spoil_rpl                     ; DPL is not RPL
    THIRD_TASK CODE_NP, mov word [A + 0x4C], CODE_NP
    THIRD_TASK 0, mov word [A + 0x50], 0                  ; SS null
    THIRD_TASK CODE32, mov word [A + 0x50], CODE32
    THIRD_TASK DATA32, mov word [A + 0x50], DATA32 | 3
    THIRD_TASK DATA_NP, mov word [A + 0x50], DATA_NP
    PASS

spoil_rpl:
    mov word [A + 0x4C], CODE32 | 3
    mov word [A + 0x50], UDATA32
    mov word [A + 0x48], 0
    mov word [A + 0x54], 0
    ret
init_a:                          ; the EIP is on the stack
    pushad
    mov edi, A
    mov ecx, 0x68 / 4
    xor eax, eax
    cld
    rep stosd
    mov eax, [esp + 36]
    mov [A + 0x20], eax
    mov dword [A + 0x24], 2
    mov dword [A + 0x38], 0x72000
    mov dword [A + 0x28], 0x1234
    mov word [A + 0x48], DATA32
    mov word [A + 0x4C], CODE32
    mov word [A + 0x50], DATA32
    mov word [A + 0x54], DATA32
    mov word [A + 0x66], 0x68
    popad
    ret 4
init_b:
    pushad
    mov edi, B
    mov ecx, 11
    xor eax, eax
    cld
    rep stosd
    mov word [B + 14], task_b
    mov word [B + 16], 2
    mov word [B + 26], 0xE000
    mov word [B + 34], DATA32
    mov word [B + 36], CODE32
    mov word [B + 38], DATA16
    mov word [B + 40], DATA32
    popad
    ret

task_a:
    mov dword [seen_eax], 0xAAAA0001
    call note
    iretd
    mov dword [seen_eax], 0xAAAA0002
    call note
    iretd
    jmp task_a
task_jmp:
    call note
    jmp TSS_SEL:0
task_int:
    mov [seen_eax], eax
    mov [seen_sp], esp
    iretd
task_gp:
    mov [seen_sp], esp
    pop dword [seen_error]
    mov eax, [TSS + 0x20]
    mov [seen_ip], eax
    mov eax, [TSS + 0x24]
    mov [seen_flags], eax
    mov dword [TSS + 0x20], gp_after
    iretd
task_b:
    movzx esp, sp
    mov dword [seen_eax], 0xB001
    call note
    iretd
task_b_fault:                    ; 16-bit TSS: the error code is a word
    movzx esp, sp
    mov ax, [esp]
    mov [seen_error], ax
    mov eax, [home]
    mov [TSS + 0x20], eax
    clts
    pushfd
    and dword [esp], ~0x4000
    popfd
    jmp TSS_SEL:0
task_never:
    FAIL "the task ran"

note:
    push eax
    str eax
    mov [seen_tr], eax
    pushfd
    pop dword [seen_flags]
    mov al, [gdt + TSS_A + 5]
    mov [seen_busy_a], al
    mov al, [gdt + TSS_SEL + 5]
    mov [seen_busy_old], al
    pop eax
    ret

user_jmp:
    jmp TSS_A:0

align 4
seen_eax: dd 0
seen_tr: dd 0
seen_flags: dd 0
seen_sp: dd 0
seen_ip: dd 0
seen_error: dd 0
home: dd 0
seen_busy_a: db 0
seen_busy_old: db 0
