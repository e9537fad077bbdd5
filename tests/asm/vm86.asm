; Virtual-8086 mode: entry by IRET, what is sensitive to IOPL, INT n and INT3, faults and their frames (with the data
; segments, which are null in the handler), segment arithmetic and limits, I/O by the bitmap, privileged instructions.
; no-qemu: TCG doesn't check segment limits
%include "test.inc"
%define SCALAR(label) ((label) - $$)

V86_CS   equ 0                  ; labels are offsets in segment 0
V86_SS   equ 0x7000
V86_SP   equ 0x1000

; V86 label, flags: run there until an event comes back.
%macro V86 2.nolist
    RESUME_AT %%after
    push dword 0x4444           ; GS
    push dword 0x3333           ; FS
    push dword 0x2222           ; DS
    push dword 0x1111           ; ES
    push dword V86_SS
    push dword V86_SP
    push dword 0x20000 | 2 | (%2)
    push dword V86_CS
    push dword %1
    iretd
%%after:
%endmacro

TEST32
    ; INT n with IOPL 3 goes through the gate.
    V86 v86_int80, 0x3000
    CHECK_EXC 0x80, NO_ERROR
    EXC_IP_IS v86_int80 + 2
    CHECK_EQ dword [exc_cs], V86_CS
    CHECK_EQ dword [exc_sp], V86_SP
    CHECK_EQ dword [exc_ss], V86_SS
    and dword [exc_flags], 0x3F300
    CHECK_EQ dword [exc_flags], 0x23000
    ; The frame: SS:ESP, then ES, DS, FS, GS.
    CHECK_EQ dword [KSTACK_TOP - 4], 0x4444
    CHECK_EQ dword [KSTACK_TOP - 8], 0x3333
    CHECK_EQ dword [KSTACK_TOP - 12], 0x2222
    CHECK_EQ dword [KSTACK_TOP - 16], 0x1111
    CHECK_EQ dword [KSTACK_TOP - 20], V86_SS
    mov eax, fs
    CHECK_EQ eax, 0
    mov eax, gs
    CHECK_EQ eax, 0
    ; With IOPL < 3 it is #GP(0); INT3 and INTO aren't.
    V86 v86_int80, 0
    CHECK_EXC 13, 0
    EXC_IP_IS v86_int80
    V86 v86_int80, 0x2000
    CHECK_EXC 13, 0
    V86 v86_int3, 0
    CHECK_EXC 3, NO_ERROR
    EXC_IP_IS v86_int3 + 1
    V86 v86_int_3, 0             ; CD 03 is
    CHECK_EXC 13, 0
    ; CLI, STI, PUSHF, POPF, IRET.
    V86 v86_cli, 0
    CHECK_EXC 13, 0
    EXC_IP_IS v86_cli
    V86 v86_pushf, 0
    CHECK_EXC 13, 0
    V86 v86_popf, 0
    CHECK_EXC 13, 0
    V86 v86_iret, 0
    CHECK_EXC 13, 0
    V86 v86_flags, 0x3000
    CHECK_EXC 0x80, NO_ERROR
    CHECK_EQ ebx, 0x3002         ; PUSHF shows IOPL 3; IF clear
    and dword [exc_flags], 0x3F300
    CHECK_EQ dword [exc_flags], 0x23200   ; POPF of FFFF & ~IOPL: IF set, IOPL stays
    V86 v86_iret_ok, 0x3000
    CHECK_EXC 0x80, NO_ERROR
    ; Addresses: base = selector << 4, limit FFFF.
    mov byte [0x71234], 0x5A
    V86 v86_address, 0x3000
    CHECK_EXC 0x80, NO_ERROR
    CHECK_EQ bl, 0x5A
    V86 v86_limit, 0x3000
    CHECK_EXC 13, 0
    V86 v86_stack_limit, 0x3000
    CHECK_EXC 12, 0
    ; Privileged and protected-mode instructions.
    V86 v86_hlt, 0x3000
    CHECK_EXC 13, 0
    V86 v86_mov_cr, 0x3000
    CHECK_EXC 13, 0
    V86 v86_lgdt, 0x3000
    CHECK_EXC 13, 0
    V86 v86_lldt, 0x3000
    CHECK_EXC 6, NO_ERROR
    V86 v86_lar, 0x3000
    CHECK_EXC 6, NO_ERROR
    V86 v86_arpl, 0x3000
    CHECK_EXC 6, NO_ERROR
    ; I/O: the bitmap counts, also with IOPL 3.
    or byte [TSS_IOMAP + 0x80 / 8], 1
    V86 v86_in, 0x3000
    CHECK_EXC 13, 0
    EXC_IP_IS v86_in
    and byte [TSS_IOMAP + 0x80 / 8], ~1
    V86 v86_in, 0
    CHECK_EXC 6, NO_ERROR
    ; A gate whose code segment isn't DPL 0: #GP(selector).
    SET_DESCRIPTOR GDT_FREE, 0, 0xFFFFF, 0xFA, 0xC0
    mov word [IDT + 0x50 * 8 + 2], GDT_FREE
    mov byte [IDT + 0x50 * 8 + 5], 0xEE
    V86 v86_int50, 0x3000
    CHECK_EXC 13, GDT_FREE
    SET_DESCRIPTOR GDT_FREE, 0, 0xFFFFF, 0x9E, 0xC0   ; conforming
    V86 v86_int50, 0x3000
    CHECK_EXC 13, GDT_FREE
    ; Far transfers are real-mode ones.
    V86 v86_far, 0x3000
    CHECK_EXC 0x80, NO_ERROR
    CHECK_EQ dword [exc_cs], 0x10
    CHECK_EQ ebx, 0x77
    PASS

bits 16
v86_int80:
    int 0x80
v86_int50:
    int 0x50
v86_int3:
    int3
v86_int_3:
    db 0xCD, 3
v86_cli:
    cli
v86_pushf:
    pushf
v86_popf:
    popf
v86_iret:
    iret
v86_flags:
    pushf
    pop bx
    movzx ebx, bx
    and bx, 0x7302
    push word 0x8200
    popf
    int 0x80
v86_iret_ok:
    push word 0x0202
    push word 0
    push word v86_int80
    iret
v86_address:
    mov ax, 0x7100
    mov ds, ax
    mov bl, [0x234]
    int 0x80
v86_limit:
    mov bx, 0xFFFF
    mov ax, [bx]
    int 0x80
v86_stack_limit:
    mov bp, 0xFFFF
    mov ax, [bp]
    int 0x80
v86_hlt:
    hlt
v86_mov_cr:
    mov eax, cr0
v86_lgdt:
    lgdt [cs:0]
v86_lldt:
    lldt ax
v86_lar:
    lar ax, ax
v86_arpl:
    db 0x63, 0xC0
v86_in:
    in al, 0x80
    ud2
v86_far:
    call 0:v86_callee
    jmp 0x10:SCALAR(v86_far_target) - 0x100
v86_callee:
    mov ebx, 0x77
    retf
v86_far_target:
    int 0x80
