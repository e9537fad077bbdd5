; Debug exceptions: single-step (traps after each instruction, not after MOV SS, POPF sets and clears it, REP steps by iteration),
; instruction breakpoints and RF, data and I/O breakpoints, DR6 and DR7, general detect, DR4/DR5.
; no-qemu: TCG does not hold the data breakpoint of MOV SS back
%include "test.inc"

TEST32
    ; Instruction breakpoint: a fault; RF = 0 in the image; RF skips it once.
    mov eax, bp1
    mov dr0, eax
    mov eax, 0x401 | 1
    mov dr7, eax
    mov eax, 0xFFFF0FF0
    mov dr6, eax
    mov ebx, 0
    RESUME_AT after_bp1
    mov ebx, 1
bp1:
    mov ebx, 2
    FAIL "no breakpoint"
after_bp1:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS bp1
    CHECK_EQ ebx, 1
    test dword [exc_flags], 0x10000
    CHECK_CC z
    mov eax, dr6
    CHECK_EQ eax, 0xFFFF0FF1
    pushfd                                       ; RF by IRET
    or dword [esp], 0x10000
    push cs
    push dword bp1_again
    mov eax, bp1_again
    mov dr0, eax
    iretd
bp1_again:
    mov ebx, 3
    CHECK_EQ ebx, 3
    ; Data breakpoints: write, read or write; a trap, with the data written.
    mov eax, 0x70004
    mov dr1, eax
    mov eax, 0x400 | (1 << 2) | (1 << 20) | (3 << 22)   ; L1, write, 4 bytes
    mov dr7, eax
    mov eax, 0xFFFF0FF0
    mov dr6, eax
    mov edi, 0x70000
    EXPECT_TRAP 1, NO_ERROR, mov dword [edi + 4], 0x1234
    mov eax, dr6
    CHECK_EQ eax, 0xFFFF0FF2
    mov eax, 0x400
    mov dr7, eax
    CHECK_EQ dword [0x70004], 0x1234
    mov eax, 0x400 | (1 << 2) | (1 << 20) | (3 << 22)
    mov dr7, eax
    EXPECT_TRAP 1, NO_ERROR, mov byte [edi + 7], 1
    EXPECT_TRAP 1, NO_ERROR, mov dword [edi + 1], 1      ; overlaps from below
    mov eax, [edi + 4]                                   ; reading doesn't hit
    mov byte [edi + 8], 1
    mov byte [edi + 3], 1
    EXPECT_TRAP 1, NO_ERROR, inc dword [edi + 4]
    mov eax, 0x400 | (1 << 2) | (3 << 20) | (3 << 22)    ; read or write
    mov dr7, eax
    EXPECT_TRAP 1, NO_ERROR, mov eax, [edi + 4]
    EXPECT_TRAP 1, NO_ERROR, cmp byte [edi + 5], 0
    EXPECT_TRAP 1, NO_ERROR, push dword [edi + 4]
    ; REP MOVS stops after the iteration that hit.
    mov eax, 0x400 | (1 << 2) | (1 << 20) | (0 << 22)    ; 1 byte at 70004
    mov dr7, eax
    cld
    mov edi, 0x70000
    mov ecx, 16
    mov al, 0x77
    RESUME_AT after_rep
rep_at:
    rep stosb
    FAIL "no trap in REP"
after_rep:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS rep_at
    CHECK_EQ edi, 0x70005
    CHECK_EQ ecx, 11
    ; A hit that isn't enabled says nothing; the trap of MOV SS waits for one instruction.
    mov eax, 0x400
    mov dr7, eax
    mov byte [0x70004], 1
    mov word [0x70004], DATA32
    mov eax, 0x400 | (1 << 2) | (3 << 20) | (1 << 22)
    mov dr7, eax
    RESUME_AT after_ss
    mov ss, [0x70004]
    nop
ss_next:
    nop
    FAIL "no trap after MOV SS"
after_ss:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS ss_next
    mov eax, 0x400
    mov dr7, eax
    ; I/O breakpoint, with CR4.DE.
    mov eax, cr4
    or eax, 8
    mov cr4, eax
    mov eax, 0x80
    mov dr2, eax
    mov eax, 0x400 | (1 << 4) | (2 << 24)
    mov dr7, eax
    EXPECT_TRAP 1, NO_ERROR, out 0x80, al
    EXPECT_TRAP 1, NO_ERROR, in al, 0x80
    mov eax, 0x400
    mov dr7, eax
    ; DR4 and DR5 are #UD with DE, DR6 and DR7 without.
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x21, 0xE0
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x21, 0xE8
    mov eax, cr4
    and eax, ~8
    mov cr4, eax
    db 0x0F, 0x21, 0xE8                          ; mov eax, dr5
    CHECK_EQ eax, 0x400
    ; General detect.
    mov eax, 0xFFFF0FF0
    mov dr6, eax
    mov eax, 0x2400
    mov dr7, eax
    EXPECT_FAULT 1, NO_ERROR, mov eax, dr0
    mov eax, dr7                                 ; delivering it cleared GD
    CHECK_EQ eax, 0x400
    mov eax, dr6
    CHECK_EQ eax, 0xFFFF2FF0
    ; Single-step.
    mov eax, 0xFFFF0FF0
    mov dr6, eax
    pushfd
    or dword [esp], 0x100
    RESUME_AT after_tf
    popfd                                        ; the trap comes after the next instruction
    nop
tf_1:
    FAIL "no single-step trap"
after_tf:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS tf_1
    test dword [exc_flags], 0x100
    CHECK_CC nz
    mov eax, dr6
    CHECK_EQ eax, 0xFFFF4FF0
    add esp, 0
    mov esp, STACK_TOP
    ; Not after MOV SS.
    mov eax, ss
    pushfd
    or dword [esp], 0x100
    RESUME_AT after_tf2
    popfd
    mov ss, ax
    nop
tf_2:
    nop
    FAIL "no single-step trap"
after_tf2:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS tf_2
    mov esp, STACK_TOP
    ; A REP instruction traps after each iteration.
    mov edi, 0x70000
    mov ecx, 3
    pushfd
    or dword [esp], 0x100
    RESUME_AT after_tf3
    popfd
tf_3:
    rep stosb
    FAIL "no single-step trap"
after_tf3:
    CHECK_EXC 1, NO_ERROR
    EXC_IP_IS tf_3
    CHECK_EQ ecx, 2
    mov esp, STACK_TOP
    ; INT n enters its handler without a trap, TF clear there, set in the image.
    pushfd
    or dword [esp], 0x100
    RESUME_AT after_tf4
    popfd
    int 0x60
    FAIL "INT did not happen"
after_tf4:
    CHECK_EXC 0x60, NO_ERROR
    test dword [exc_flags], 0x100
    CHECK_CC nz
    pushfd
    pop eax
    test eax, 0x100
    CHECK_CC z
    mov esp, STACK_TOP
    ; A fault takes precedence over the trap.
    pushfd
    or dword [esp], 0x100
    RESUME_AT after_tf5
    popfd
    ud2
after_tf5:
    CHECK_EXC 6, NO_ERROR
    mov esp, STACK_TOP
    ; INT1 is #DB without DR6 bits.
    mov eax, 0xFFFF0FF0
    mov dr6, eax
    EXPECT_TRAP 1, NO_ERROR, db 0xF1
    mov eax, dr6
    CHECK_EQ eax, 0xFFFF0FF0
    ; From CPL 3: MOV DR is #GP(0).
    RUN_USER user_dr
    CHECK_EXC 13, 0
    PASS
user_dr:
    mov eax, dr0
