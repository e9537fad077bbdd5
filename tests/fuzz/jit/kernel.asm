; Runs the programs of an image (program.h) on an emulated PC and reports on port E9h.
;
; The image is a BIOS ROM: programs and data in its lower part, this at its end. tests/asm/lib/test.inc brings
; the machine into long mode; then everything here is our own: an address space a task, in which CODE, ALIAS
; and DATA are as program.h has them and the kernel's 32 MB and the ROM are mapped one to one for CPL 0.
;
; A task is a block of registers at `cur`; entry and leave copy the processor's state there and back, and in
; between it is only data. There is one task, or two that take turns at every tick of the timer, each with its
; own page tables for the same linear addresses.
;
; What an image asks for (FLAG_*) must not change any result: a fast timer, two tasks, pages that move to other
; frames at every tick, breakpoints, single-step by the kernel, programs in ring 0.
%include "test.inc"

FLAG_VERBOSE equ 1              ; every event's record
FLAG_RING0   equ 2
FLAG_TASKS   equ 4
FLAG_REMAP   equ 8              ; code and data pages change frames at every tick
FLAG_BREAK   equ 16             ; the programs' breakpoints in DR0-DR3
FLAG_STEP    equ 32
FLAG_DUMP    equ 64             ; memory at the end
FLAG_DMA     equ 128            ; a device writes over code page 0 at every tick; then the code is put back

CODE       equ 0x10000000
CODE_SIZE  equ 0x4000
ALIAS      equ 0x18000000
DATA       equ 0x20000000
USER_FIRST equ 0x0c000000
USER_LAST  equ 0x2fffffff
EVENTS_MAX equ 200
HASH_START equ 0xcbf29ce484222325
HASH_K     equ 0x9e3779b97f4a7c15
FLAGS_SHOWN equ 0xdc5
OUTCOME_MAGIC equ 0x4f4a5a46
EVENT_MAGIC equ 0x454a5a46
DUMP_MAGIC equ 0x444a5a46
END_NORMAL equ 0
END_EVENTS equ 1
END_TIMEOUT equ 2

; Program header in the ROM.
P_BITS   equ 4
P_ENTRY  equ 8
P_RESCUE equ 12
P_END    equ 16
P_STARTS equ 20
P_CODE_LEN equ 24
P_DATA   equ 28
P_INDEX  equ 32
P_FLAGS  equ 36
P_BREAK  equ 40                 ; three offsets in CODE, one in DATA
P_GPR    equ 64
P_FX     equ 192
P_TABLE  equ 704                ; offsets of instructions, then (8-aligned) the code

; A task: first what belongs to it, then its memory, all relative to TASK0 + n * TASK_SIZE.
TASK0     equ 0x200000
TASK_SIZE equ 0x100000
M_PML4    equ 0x0000
M_PDPT    equ 0x1000
M_PD      equ 0x2000
M_PD3     equ 0x3000
M_PT_CODE equ 0x4000
M_PT_ALIAS equ 0x5000
M_PT_DATA equ 0x6000
M_TASK    equ 0x8000
M_CODE    equ 0x10000           ; frames; each page has another one CODE_OTHER away
CODE_OTHER equ 0x8000
M_DATA    equ 0x20000
DATA_OTHER equ 0x10000

T_GPR    equ 0
T_RIP    equ 128
T_CS     equ 136
T_RFLAGS equ 144
T_SS     equ 152
T_VECTOR equ 160
T_ERROR  equ 168
T_CR2    equ 176
T_HASH   equ 184
T_EVENTS equ 192
T_PROG   equ 200
T_TICKS  equ 208
T_ACTIVE equ 216
T_BASE   equ 224                ; linear address that RIP 0 stands for: 0 or CODE
T_EXTRA  equ 232
T_DS     equ 240
T_GS     equ 248
T_FX     equ 512
T_EVENT  equ 1024
T_OUT    equ 1600               ; struct outcome

E_RIP    equ 128
E_FLAGS  equ 136
E_VECTOR equ 144
E_ERROR  equ 152
E_CR2    equ 160
E_NUMBER equ 168
E_MXCSR  equ 176
E_FCW    equ 180
E_FSW    equ 182
E_FTAG   equ 184
E_ST     equ 192
E_XMM    equ 320
E_SIZE   equ 576

KERNEL_STACK equ 0xF000         ; below 64 KB: IRET to a 16-bit stack keeps the upper bits of ESP, which have
                                ; to be 0
SEL_CODE16  equ GDT_FREE | 3
SEL_DATA16  equ (GDT_FREE + 8) | 3
SEL_CODEDATA equ (GDT_FREE + 16) | 3
SEL_GS      equ (GDT_FREE + 24) | 3
SEL_CODE16K equ GDT_FREE + 32
SEL_DATA16K equ GDT_FREE + 40
SEL_CODE32  equ (GDT_FREE + 48) | 3
SEL_DATA32  equ (GDT_FREE + 56) | 3
SEL_CODE32K equ GDT_FREE + 64
SEL_DATA32K equ GDT_FREE + 72

PTE_P  equ 1
PTE_W  equ 2
PTE_U  equ 4
%define PTE_NX (1 << 63)

APIC equ 0xFEE00000
TICK_VECTOR equ 32

section .params start=0xFE00 vstart=0xFE00 align=1
params:
    dq 0x4a46504152414d53
p_programs: dq 0                ; address of the array of program addresses
p_count:    dq 0
p_block:    dq 0                ; the common data
p_flags:    dq 0
p_period:   dq 0                ; of the timer, ns
p_limit:    dq 0                ; ticks that a program may take

section .text
TEST64
    mov dword [abs gdt_free], 0x00003fff
    mov dword [abs gdt_free + 4], 0x1000fa00
    mov dword [abs gdt_free + 8], 0x0000bfff
    mov dword [abs gdt_free + 12], 0x2000f200
    mov dword [abs gdt_free + 16], 0x00003fff
    mov dword [abs gdt_free + 20], 0x1000f200
    mov dword [abs gdt_free + 24], 0x1000ffff
    mov dword [abs gdt_free + 28], 0x20cff200
    mov dword [abs gdt_free + 32], 0x00003fff
    mov dword [abs gdt_free + 36], 0x10009a00
    mov dword [abs gdt_free + 40], 0x0000bfff
    mov dword [abs gdt_free + 44], 0x20009200
    mov dword [abs gdt_free + 48], 0x00003fff
    mov dword [abs gdt_free + 52], 0x1040fa00
    mov dword [abs gdt_free + 56], 0x0000000b
    mov dword [abs gdt_free + 60], 0x10c1f200
    mov dword [abs gdt_free + 64], 0x00003fff
    mov dword [abs gdt_free + 68], 0x10409a00
    mov dword [abs gdt_free + 72], 0x0000000b
    mov dword [abs gdt_free + 76], 0x10c19200

    ; Every vector on IST1, so that ring 0 programs need no good stack.
    mov edi, IDT
    mov eax, our_stubs
.gate:
    mov [rdi], ax
    mov word [rdi + 2], CODE64
    mov word [rdi + 4], 0x8E01
    mov word [rdi + 6], 0
    mov qword [rdi + 8], 0
    add eax, STUB_SIZE
    add edi, 16
    cmp edi, IDT + 256 * 16
    jb .gate
    mov byte [abs IDT + 3 * 16 + 5], 0xEE
    mov byte [abs IDT + 4 * 16 + 5], 0xEE
    mov dword [abs TSS + 4], KERNEL_STACK
    mov dword [abs TSS + 0x24], KERNEL_STACK
    mov esp, KERNEL_STACK

    mov ecx, 0xC0000080         ; NXE
    rdmsr
    or eax, 0x800
    wrmsr
    mov rax, cr0                ; MP, NE, WP; no EM, TS
    and eax, ~0xC
    or eax, 0x10022
    mov cr0, rax
    mov rax, cr4                ; OSFXSR, OSXMMEXCPT
    or eax, 0x600
    mov cr4, rax

    mov ebx, TASK0
    call make_tables
    mov ebx, TASK0 + TASK_SIZE
    call make_tables
    mov eax, TASK0
    mov cr3, rax

    mov al, 0xFF                ; no interrupts but the timer's
    out 0x21, al
    out 0xA1, al
    mov rbx, APIC
    mov dword [rbx + 0xF0], 0x1FF
    mov dword [rbx + 0x3E0], 0xB
    mov dword [rbx + 0x320], 0x20000 | TICK_VECTOR
    mov eax, [abs p_period]
    mov [rbx + 0x380], eax

    mov ebx, TASK0 + TASK_SIZE + M_TASK
    test byte [abs p_flags], FLAG_TASKS
    jz .one
    call load
.one:
    mov ebx, TASK0 + M_TASK
    call load
    jmp leave_any

our_stubs:
    STUBS entry

; ---- Page tables ----

make_tables:                    ; RBX: the task's memory
    mov rdi, rbx
    mov ecx, 7 * 4096 / 8
    xor eax, eax
    rep stosq
    lea rax, [rbx + M_PDPT + 7]
    mov [rbx + M_PML4], rax
    lea rax, [rbx + M_PD + 7]
    mov [rbx + M_PDPT], rax
    lea rax, [rbx + M_PD3 + 7]
    mov [rbx + M_PDPT + 3 * 8], rax
    xor ecx, ecx                ; the kernel's 32 MB
    mov eax, 0x83
.low:
    mov [rbx + M_PD + rcx * 8], rax
    add rax, 0x200000
    inc ecx
    cmp ecx, 16
    jb .low
    mov ecx, 496                ; FE000000-FFFFFFFF: APIC and ROM
    mov eax, 0xFE000083
.high:
    mov [rbx + M_PD3 + rcx * 8], rax
    add rax, 0x200000
    inc ecx
    cmp ecx, 512
    jb .high
    lea rax, [rbx + M_PT_CODE + 7]
    mov [rbx + M_PD + (CODE >> 21) * 8], rax
    lea rax, [rbx + M_PT_ALIAS + 7]
    mov [rbx + M_PD + (ALIAS >> 21) * 8], rax
    lea rax, [rbx + M_PT_DATA + 7]
    mov [rbx + M_PD + (DATA >> 21) * 8], rax
    ret

; ---- The next program for task RBX ----

load:
    mov rcx, [abs next_program]
    mov qword [rbx + T_ACTIVE], 0
    cmp rcx, [abs p_count]
    jae .none
    inc qword [abs next_program]
    mov rax, [abs p_programs]
    mov rsi, [rax + rcx * 8]
    mov [rbx + T_PROG], rsi
    mov qword [rbx + T_ACTIVE], 1
    ; Registers.
    lea rdi, [rbx + T_GPR]
    add rsi, P_GPR
    mov ecx, 16
    rep movsq
    lea rdi, [rbx + T_FX]
    mov ecx, 64
    rep movsq
    mov r8, [rbx + T_PROG]
    mov eax, [r8 + P_FLAGS]
    or eax, 0x202
    test byte [abs p_flags], FLAG_STEP
    jz .no_step
    or eax, 0x100
.no_step:
    mov [rbx + T_RFLAGS], rax
    mov rax, HASH_START
    mov [rbx + T_HASH], rax
    xor eax, eax
    mov [rbx + T_EVENTS], rax
    mov [rbx + T_TICKS], rax
    mov [rbx + T_EXTRA], rax
    mov ecx, [r8 + P_BITS]
    mov eax, CODE
    xor edx, edx
    cmp ecx, 2                  ; 16-bit, segmented 32-bit
    cmovae eax, edx
    mov [rbx + T_BASE], rax
    mov edx, [r8 + P_ENTRY]
    add rax, rdx
    mov [rbx + T_RIP], rax
    lea rsi, [abs selectors]
    test byte [abs p_flags], FLAG_RING0
    jz .ring3
    add rsi, selectors0 - selectors
.ring3:
    shl ecx, 3
    movzx eax, word [rsi + rcx]
    mov [rbx + T_CS], rax
    movzx eax, word [rsi + rcx + 2]
    mov [rbx + T_SS], rax
    movzx eax, word [rsi + rcx + 4]
    mov [rbx + T_DS], rax
    movzx eax, word [rsi + rcx + 6]
    mov [rbx + T_GS], rax
    ; Memory.
    lea rdi, [rbx - M_TASK + M_CODE]
    mov rax, 0xCCCCCCCCCCCCCCCC
    mov ecx, CODE_SIZE / 8
    rep stosq
    lea rdi, [rbx - M_TASK + M_CODE]
    mov eax, [r8 + P_STARTS]
    lea rsi, [r8 + P_TABLE + 7 + rax * 2]
    and rsi, ~7
    mov ecx, [r8 + P_CODE_LEN]
    rep movsb
    lea rdi, [rbx - M_TASK + M_DATA]
    mov esi, [r8 + P_DATA]
    add rsi, [abs p_block]
    mov ecx, 12 * 4096 / 8
    rep movsq
    ; Mappings.
    lea rdi, [rbx - M_TASK + M_PT_CODE]
    lea rax, [rbx - M_TASK + M_CODE + PTE_P + PTE_W + PTE_U]
    mov [rdi], rax
    add rax, 0x1000
    mov [rdi + 8], rax
    add rax, 0x1000
    mov [rdi + 16], rax
    add rax, 0x1000
    mov [rdi + 24], rax
    call set_alias
    lea rdi, [rbx - M_TASK + M_PT_DATA]
    lea rsi, [abs data_rights]
    lea rax, [rbx - M_TASK + M_DATA]
    mov r9, PTE_NX
    or rax, r9
    mov ecx, 12
.data:
    movzx edx, byte [rsi]
    or rdx, rax
    mov [rdi], rdx
    add rax, 0x1000
    add rdi, 8
    inc rsi
    dec ecx
    jnz .data
    call take_back
    jmp flush
.none:
    ret

set_alias:                      ; ALIAS follows pages 0 and 1 of CODE
    mov r9, PTE_NX
    mov rax, [rbx - M_TASK + M_PT_CODE]
    or rax, r9
    mov [rbx - M_TASK + M_PT_ALIAS], rax
    mov rax, [rbx - M_TASK + M_PT_CODE + 8]
    or rax, r9
    mov [rbx - M_TASK + M_PT_ALIAS + 8], rax
    ret

take_back:                      ; the pages that a program gets for a fault; then flush
    and byte [rbx - M_TASK + M_PT_CODE + 2 * 8], ~PTE_W
    and byte [rbx - M_TASK + M_PT_CODE + 3 * 8], ~PTE_P
    and byte [rbx - M_TASK + M_PT_DATA + 9 * 8], ~PTE_P
    and byte [rbx - M_TASK + M_PT_DATA + 10 * 8], ~PTE_W
    mov eax, CODE + 2 * 0x1000
    invlpg [rax]
    invlpg [rax + 0x1000]
    mov eax, DATA + 9 * 0x1000
    invlpg [rax]
    invlpg [rax + 0x1000]
    ret

flush:
    mov rax, cr3
    mov cr3, rax
    ret

; ---- Entry and leave ----

entry:                          ; stack: vector, error, RIP, CS, RFLAGS, RSP, SS
    cmp qword [rsp + 16], 0x10000
    jb panic_maybe
.user:
    push rax
    mov rax, [abs cur]
    mov [rax + T_GPR + 1 * 8], rcx
    mov [rax + T_GPR + 2 * 8], rdx
    mov [rax + T_GPR + 3 * 8], rbx
    mov [rax + T_GPR + 5 * 8], rbp
    mov [rax + T_GPR + 6 * 8], rsi
    mov [rax + T_GPR + 7 * 8], rdi
    mov [rax + T_GPR + 8 * 8], r8
    mov [rax + T_GPR + 9 * 8], r9
    mov [rax + T_GPR + 10 * 8], r10
    mov [rax + T_GPR + 11 * 8], r11
    mov [rax + T_GPR + 12 * 8], r12
    mov [rax + T_GPR + 13 * 8], r13
    mov [rax + T_GPR + 14 * 8], r14
    mov [rax + T_GPR + 15 * 8], r15
    pop qword [rax + T_GPR]
    pop qword [rax + T_VECTOR]
    pop qword [rax + T_ERROR]
    pop qword [rax + T_RIP]
    pop qword [rax + T_CS]
    pop qword [rax + T_RFLAGS]
    pop qword [rax + T_GPR + 4 * 8]
    pop qword [rax + T_SS]
    fxsave [rax + T_FX]
    mov rbx, rax
    mov esp, KERNEL_STACK
    mov qword [abs in_user], 0
    cld
    cmp qword [rbx + T_VECTOR], TICK_VECTOR
    je tick
    cmp qword [rbx + T_VECTOR], 1
    je debug
    cmp qword [rbx + T_VECTOR], 32
    jae leave_any
    jmp event

panic_maybe:                    ; a program's 16-bit RIP, or an exception in the kernel
    cmp qword [rsp + 24], CODE64
    jne entry.user
    mov rax, [abs cur]
    cmp dword [rax + T_CS], CODE64 ; a ring 0 program whose RIP went astray?
    jne .panic
    cmp qword [abs in_user], 0
    jne entry.user
.panic:
    mov esi, text_panic
    call puts64
    mov rax, [rsp]
    call puthex64
    mov rax, [rsp + 16]
    call puthex64
    mov rax, cr2
    call puthex64
    mov eax, 0x22
    out PORT_EXIT, al
    cli
    hlt

; Goes on with a task that has something to do, the current one unless two take turns.
leave_any:
    mov rbx, [abs cur]
    cmp qword [rbx + T_ACTIVE], 0
    jne leave
    xor ebx, (TASK0 ^ (TASK0 + TASK_SIZE))
    cmp qword [rbx + T_ACTIVE], 0
    jne leave
    mov al, 0x10                ; all done
    out PORT_EXIT, al
    cli
    hlt

leave:                          ; RBX: the task
    mov [abs cur], rbx
    lea rax, [rbx - M_TASK]
    mov rcx, cr3
    cmp rax, rcx
    je .same
    mov cr3, rax
.same:
    test byte [abs p_flags], FLAG_BREAK
    jz .no_breakpoints
    call set_breakpoints
.no_breakpoints:
    mov eax, [rbx + T_DS]
    mov ds, eax
    mov es, eax
    mov eax, [rbx + T_GS]
    mov gs, eax
    mov qword [abs in_user], 1
    fxrstor [rbx + T_FX]
    push qword [rbx + T_SS]
    push qword [rbx + T_GPR + 4 * 8]
    push qword [rbx + T_RFLAGS]
    push qword [rbx + T_CS]
    push qword [rbx + T_RIP]
    mov rax, [rbx + T_GPR]
    mov rcx, [rbx + T_GPR + 1 * 8]
    mov rdx, [rbx + T_GPR + 2 * 8]
    mov rbp, [rbx + T_GPR + 5 * 8]
    mov rsi, [rbx + T_GPR + 6 * 8]
    mov rdi, [rbx + T_GPR + 7 * 8]
    mov r8, [rbx + T_GPR + 8 * 8]
    mov r9, [rbx + T_GPR + 9 * 8]
    mov r10, [rbx + T_GPR + 10 * 8]
    mov r11, [rbx + T_GPR + 11 * 8]
    mov r12, [rbx + T_GPR + 12 * 8]
    mov r13, [rbx + T_GPR + 13 * 8]
    mov r14, [rbx + T_GPR + 14 * 8]
    mov r15, [rbx + T_GPR + 15 * 8]
    mov rbx, [rbx + T_GPR + 3 * 8]
    iretq

set_breakpoints:
    mov rcx, [rbx + T_PROG]
    mov eax, CODE
    mov edx, [rcx + P_BREAK]
    add rdx, rax
    mov dr0, rdx
    mov edx, [rcx + P_BREAK + 4]
    add rdx, rax
    mov dr1, rdx
    mov edx, [rcx + P_BREAK + 8]
    add rdx, rax
    mov dr2, rdx
    mov eax, DATA
    mov edx, [rcx + P_BREAK + 12]
    add rdx, rax
    mov dr3, rdx
    mov eax, 0xD0000755         ; DR3: writes of 4 bytes; the others: instructions
    mov dr7, rax
    ret

; ---- Timer, debug exceptions ----

tick:
    mov rax, APIC
    mov dword [rax + 0xB0], 0
    inc qword [rbx + T_TICKS]
    mov rax, [rbx + T_TICKS]
    mov edx, END_TIMEOUT
    cmp rax, [abs p_limit]
    jae finish
    test byte [abs p_flags], FLAG_REMAP
    jz .no_remap
    call remap
.no_remap:
    test byte [abs p_flags], FLAG_DMA
    jz .no_dma
    call dma
.no_dma:
    test byte [abs p_flags], FLAG_TASKS
    jz leave
    xor ebx, (TASK0 ^ (TASK0 + TASK_SIZE))
    mov [abs cur], rbx
    jmp leave_any

debug:                          ; ours, or the program's single-step?
    mov rax, dr6
    mov ecx, 0xFFFF0FF0
    mov dr6, rcx
    test byte [abs p_flags], FLAG_BREAK
    jz .no_break
    test eax, 15
    jz event
    inc qword [rbx + T_EXTRA]
    and eax, 7
    jz leave
    or dword [rbx + T_RFLAGS], 0x10000
    jmp leave
.no_break:
    test byte [abs p_flags], FLAG_STEP
    jz event
    inc qword [rbx + T_EXTRA]
    jmp leave

remap:                          ; every page of code and one of data into another frame
    lea r8, [rbx - M_TASK + M_PT_CODE]
    mov r9d, CODE_OTHER
    mov eax, CODE
    mov r10d, 4
.code:
    call move_page
    add r8, 8
    add eax, 0x1000
    dec r10d
    jnz .code
    call set_alias
    mov eax, ALIAS
    invlpg [rax]
    invlpg [rax + 0x1000]
    mov rax, [rbx + T_TICKS]
    xor edx, edx
    mov ecx, 12
    div ecx
    lea r8, [rbx - M_TASK + M_PT_DATA + rdx * 8]
    shl edx, 12
    lea eax, [rdx + DATA]
    mov r9d, DATA_OTHER

; The page whose entry is at R8, linear address EAX: its frame becomes the one R9 away. The old one is filled
; with HLT.
move_page:
    push rax
    mov rsi, [r8]
    mov rdi, rsi
    xor rdi, r9
    mov rdx, rdi
    mov rcx, 0x000ffffffffff000
    and rsi, rcx
    and rdi, rcx
    mov r11, rsi
    mov ecx, 512
    rep movsq
    mov rdi, r11
    mov rax, 0xF4F4F4F4F4F4F4F4
    mov ecx, 512
    rep stosq
    mov [r8], rdx
    pop rax
    invlpg [rax]
    ret

; A device writes over code page 0 by DMA (fw_cfg: its signature and zeros); then the kernel puts the code back
; through its own mapping. The program never sees the one nor the other.
dma:
    mov rsi, [rbx - M_TASK + M_PT_CODE]
    mov rax, 0x000ffffffffff000
    and rsi, rax
    mov r11, rsi
    mov edi, DMA_SAVED
    mov ecx, 512
    rep movsq
    mov rax, r11
    bswap rax
    mov [abs dma_address], rax
    mov dword [abs dma_control], 0x0a000000 ; big-endian: select item 0, read
    mov dword [abs dma_length], 0x00100000 ; 4096
    mov eax, dma_control
    bswap eax
    mov edx, 0x514
    push rax
    xor eax, eax
    out dx, eax
    pop rax
    mov edx, 0x518
    out dx, eax
    mov rdi, r11
    mov esi, DMA_SAVED
    mov ecx, 512
    rep movsq
    ret

; ---- Events ----

event:
    mov r8, [rbx + T_PROG]
    lea rdi, [rbx + T_EVENT]
    lea rsi, [rbx + T_GPR]
    mov ecx, 16
    cmp dword [r8 + P_BITS], 0
    jne .narrow
    rep movsq
    jmp .gpr
.narrow:
    mov ecx, 8
.one:
    lodsd
    add rsi, 4
    stosq
    dec ecx
    jnz .one
    xor eax, eax
    mov ecx, 8
    rep stosq
.gpr:
    mov rax, [rbx + T_RIP]
    mov [rbx + T_EVENT + E_RIP], rax
    mov eax, [rbx + T_RFLAGS]
    and eax, FLAGS_SHOWN
    test byte [abs p_flags], FLAG_STEP
    jz .flags
    and eax, ~0x100
    or dword [rbx + T_RFLAGS], 0x100
.flags:
    mov [rbx + T_EVENT + E_FLAGS], rax
    mov rax, [rbx + T_VECTOR]
    mov [rbx + T_EVENT + E_VECTOR], rax
    xor edx, edx                ; error code
    xor ecx, ecx                ; CR2
    cmp eax, 12
    jb .error
    cmp eax, 14
    ja .error
    mov rdx, [rbx + T_ERROR]
    jne .error
    test dl, 16                 ; a fetch: program.h, FLAGS_ARITH
    jz .not_fetch
    and dword [rbx + T_EVENT + E_FLAGS], ~0x8c5
.not_fetch:
    mov rcx, cr2
    mov [rbx + T_CR2], rcx
    test byte [abs p_flags], FLAG_RING0
    jz .user
    or edx, 4
.user:
    cmp rcx, USER_FIRST
    jb .outside
    cmp rcx, USER_LAST
    jbe .error
.outside:
    and edx, ~1
.error:
    mov [rbx + T_EVENT + E_ERROR], rdx
    mov [rbx + T_EVENT + E_CR2], rcx
    mov rax, [rbx + T_EVENTS]
    mov [rbx + T_EVENT + E_NUMBER], rax
    mov eax, [rbx + T_FX + 24]
    mov [rbx + T_EVENT + E_MXCSR], eax
    mov eax, [rbx + T_FX]
    mov [rbx + T_EVENT + E_FCW], eax
    movzx eax, byte [rbx + T_FX + 4]
    mov [rbx + T_EVENT + E_FTAG], rax
    lea rsi, [rbx + T_FX + 32]
    lea rdi, [rbx + T_EVENT + E_ST]
    mov ecx, 8
.st:
    movsq
    lodsq
    movzx eax, ax
    stosq
    dec ecx
    jnz .st
    mov ecx, 32
    cmp dword [r8 + P_BITS], 0
    je .xmm
    mov ecx, 16
.xmm:
    mov edx, 32
    sub edx, ecx
    rep movsq
    mov ecx, edx
    xor eax, eax
    rep stosq

    mov rax, [rbx + T_HASH]
    lea rsi, [rbx + T_EVENT]
    mov ecx, E_SIZE / 8
    call hash
    mov [rbx + T_HASH], rax
    inc qword [rbx + T_EVENTS]
    test byte [abs p_flags], FLAG_VERBOSE
    jz .quiet
    mov dword [abs out_header], EVENT_MAGIC
    mov eax, [r8 + P_INDEX]
    mov [abs out_header + 4], eax
    lea rsi, [abs out_header]
    mov ecx, 8
    call out_bytes
    lea rsi, [rbx + T_EVENT]
    mov ecx, E_SIZE
    call out_bytes
.quiet:
    ; What is to be done about it.
    mov r9, [rbx + T_RIP]
    sub r9, [rbx + T_BASE]
    mov eax, [r8 + P_END]
    mov edx, END_NORMAL
    cmp r9, rax
    je finish
    mov edx, END_EVENTS
    cmp qword [rbx + T_EVENTS], EVENTS_MAX
    jae finish
    mov r10d, [rbx + T_VECTOR]
    cmp r10d, 3
    jne .no_breakpoint
    call take_back
.no_breakpoint:
    cmp r10d, 16
    jne .no_x87
    and word [rbx + T_FX + 2], 0x7f00
.no_x87:
    cmp r10d, 14
    jne .no_page
    call repair
    jz leave
.no_page:
    cmp r9, CODE_SIZE
    jb .inside
    mov eax, [r8 + P_RESCUE]
    add rax, [rbx + T_BASE]
    mov [rbx + T_RIP], rax
    mov rax, [r8 + P_GPR + 4 * 8]
    mov [rbx + T_GPR + 4 * 8], rax
    jmp leave
.inside:
    cmp r10d, 1
    je leave
    cmp r10d, 3
    je leave
    cmp r10d, 4
    je leave
    lea rsi, [r8 + P_TABLE]
    mov ecx, [r8 + P_STARTS]
.search:
    movzx eax, word [rsi]
    cmp eax, r9d
    ja .found
    add rsi, 2
    dec ecx
    jnz .search
    mov eax, [r8 + P_END]
.found:
    add rax, [rbx + T_BASE]
    mov [rbx + T_RIP], rax
    jmp leave

repair:                         ; ZF = 1: the page was given
    mov rax, [rbx + T_CR2]
    and rax, ~0xfff
    mov edx, [rbx + T_ERROR]
    cmp rax, CODE + 3 * 0x1000
    jne .no_code_lazy
    lea rdi, [rbx - M_TASK + M_PT_CODE + 3 * 8]
    jmp .lazy
.no_code_lazy:
    cmp rax, DATA + 9 * 0x1000
    jne .no_data_lazy
    lea rdi, [rbx - M_TASK + M_PT_DATA + 9 * 8]
.lazy:
    test byte [rdi], PTE_P
    jnz .no
    or byte [rdi], PTE_P        ; nothing to invalidate
    cmp eax, eax
    ret
.no_data_lazy:
    test dl, 2
    jz .no
    cmp rax, CODE + 2 * 0x1000
    jne .no_code_cow
    lea r8, [rbx - M_TASK + M_PT_CODE + 2 * 8]
    mov r9d, CODE_OTHER
    jmp .cow
.no_code_cow:
    cmp rax, DATA + 10 * 0x1000
    jne .no
    lea r8, [rbx - M_TASK + M_PT_DATA + 10 * 8]
    mov r9d, DATA_OTHER
.cow:
    test byte [r8], PTE_W
    jnz .no
    or byte [r8], PTE_W
    call move_page
    cmp eax, eax
    ret
.no:
    mov r8, [rbx + T_PROG]
    mov r9, [rbx + T_RIP]
    sub r9, [rbx + T_BASE]
    or eax, 1
    ret

; ---- The end of a program: EDX says why ----

finish:
    mov r8, [rbx + T_PROG]
    lea rdi, [rbx + T_OUT]
    mov dword [rdi], OUTCOME_MAGIC
    mov eax, [r8 + P_INDEX]
    mov [rdi + 4], eax
    mov rax, [rbx + T_EVENTS]
    mov [rdi + 8], eax
    mov [rdi + 12], edx
    mov rax, [rbx + T_HASH]
    mov [rdi + 16], rax
    mov rax, [rbx + T_EXTRA]
    mov [rdi + 40], rax
    test byte [abs p_flags], FLAG_DUMP
    jz .no_dump
    mov dword [abs out_header], DUMP_MAGIC
    mov eax, [r8 + P_INDEX]
    mov [abs out_header + 4], eax
    lea rsi, [abs out_header]
    mov ecx, 8
    call out_bytes
.no_dump:
    lea r12, [rbx - M_TASK + M_PT_DATA]
    mov r13d, 0b011011011111    ; pages 0-4, 6, 7, 9, 10
    mov r14d, 12
    call hash_pages
    mov [rbx + T_OUT + 24], rax
    lea r12, [rbx - M_TASK + M_PT_CODE]
    mov r13d, 15
    mov r14d, 4
    call hash_pages
    mov [rbx + T_OUT + 32], rax
    lea rsi, [rbx + T_OUT]
    mov ecx, 48
    call out_bytes
    call load
    jmp leave_any

hash_pages:                     ; R12: entries, R13: which, R14: how many
    mov rax, HASH_START
.page:
    test r13d, 1
    jz .next
    mov rsi, [r12]
    mov rcx, 0x000ffffffffff000
    and rsi, rcx
    test byte [abs p_flags], FLAG_DUMP
    jz .no_dump
    push rax
    push rsi
    mov ecx, 4096
    call out_bytes
    pop rsi
    pop rax
.no_dump:
    mov ecx, 512
    call hash
.next:
    add r12, 8
    shr r13d, 1
    dec r14d
    jnz .page
    ret

hash:                           ; of RCX words at RSI, into RAX
    mov r11, HASH_K
.word:
    xor rax, [rsi]
    imul rax, r11
    mov rdx, rax
    shr rdx, 29
    xor rax, rdx
    add rsi, 8
    dec ecx
    jnz .word
    ret

out_bytes:                      ; ECX bytes at RSI
    mov edx, PORT_CONSOLE
    rep outsb
    ret

text_panic: db "kernel: ", 0
align 8
cur: dq TASK0 + M_TASK
next_program: dq 0
in_user: dq 0
out_header: dq 0
dma_control: dd 0
dma_length: dd 0
dma_address: dq 0
DMA_SAVED equ 0x110000
data_rights: db 7, 7, 7, 7, 5, 0, 7, 7, 0, 7, 7, 0
align 8
selectors:                      ; CS, SS, DS and ES, GS for 64, 32 and 16 bits, segmented 32 bits
    dw UCODE64, UDATA32, UDATA32, SEL_GS
    dw UCODE32, UDATA32, UDATA32, SEL_GS
    dw SEL_CODE16, SEL_DATA16, SEL_DATA16, SEL_CODEDATA
    dw SEL_CODE32, SEL_DATA32, SEL_DATA32, SEL_GS
selectors0:
    dw CODE64, DATA32, UDATA32, SEL_GS
    dw CODE32, DATA32, UDATA32, SEL_GS
    dw SEL_CODE16K, SEL_DATA16K, SEL_DATA16, SEL_CODEDATA
    dw SEL_CODE32K, SEL_DATA32K, SEL_DATA32, SEL_GS
