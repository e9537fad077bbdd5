; Long mode: page faults report CR2 and the error bits (P, W, U, RSVD), non-canonical addresses are
; #GP(0), or #SS(0) through the stack; user mode is held to its pages.
; no-qemu: TCG raises #GP instead of #SS for a non-canonical stack address
%include "test.inc"

TEST64
    ; Not present, read and write, from CPL 0.
    mov rbx, 0x40000000          ; 1 GB: beyond what is mapped
    EXPECT_FAULT 14, 0, mov al, [rbx]
    CHECK_EQ64 qword [abs exc_cr2], 0x40000000
    EXPECT_FAULT 14, 2, mov [rbx + 8], al
    CHECK_EQ64 qword [abs exc_cr2], 0x40000008
    ; Non-canonical.
    mov rbx, 0x0000800000000000
    EXPECT_FAULT 13, 0, mov al, [rbx]
    mov byte [abs IDT + 12 * 16 + 4], 1          ; #SS on IST1: the stack itself is what is bad
    RESUME_AT after_ss
    mov rcx, rsp
    mov rsp, rbx
stack_read:
    mov al, [rsp]
    mov rsp, rcx
    FAIL "no #SS"
after_ss:
    CHECK_EXC 12, 0
    EXC_IP_IS stack_read
    CHECK_EQ64 qword [abs exc_sp], 0x0000800000000000
    ; A reserved bit in a PDE: RSVD.
    mov dword [abs PD + 5 * 8 + 4], 0x00080000   ; bit 51
    EXPECT_FAULT 14, 9, mov al, [abs 5 * 0x200000]
    mov dword [abs PD + 5 * 8 + 4], 0
    mov al, [abs 5 * 0x200000]
    ; A supervisor page from CPL 3: P, U; writing: W too.
    and dword [abs PD + 6 * 8], ~4
    mov rax, cr3
    mov cr3, rax
    RUN_USER user_read
    CHECK_EXC 14, 5
    CHECK_EQ64 qword [abs exc_cr2], 6 * 0x200000
    EXC_IP_IS user_read
    RUN_USER user_write
    CHECK_EXC 14, 7
    RUN_USER user_done
    CHECK_USER_DONE
    CHECK_EQ64 rbx, 0x123456789ABCDEF0
    PASS

user_read:
    mov al, [abs 6 * 0x200000]
user_write:
    mov [abs 6 * 0x200000], al
user_done:
    mov rbx, 0x123456789ABCDEF0
    USER_DONE
