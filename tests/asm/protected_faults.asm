; Protected mode: loading a bad segment register faults with the selector as error code, a limit
; violation gives #GP(0) or #SS(0), #UD and #DE leave IP on the instruction, INT3 after it.
; no-qemu: TCG doesn't check segment limits
%include "test.inc"

TEST32
    ; A selector beyond the GDT's limit: #GP(selector).
    mov eax, 0xFFF8
    EXPECT_FAULT 13, 0xFFF8, mov fs, ax
    CHECK_EQ eax, 0xFFF8
    ; Not present: #NP(selector), for SS #SS(selector).
    SET_DESCRIPTOR GDT_FREE, 0, 0xFFFFF, 0x13, 0xC0
    mov eax, GDT_FREE
    EXPECT_FAULT 11, GDT_FREE, mov fs, ax
    EXPECT_FAULT 12, GDT_FREE, mov ss, ax
    ; Null into SS: #GP(0); into FS it is allowed, using it isn't.
    xor eax, eax
    EXPECT_FAULT 13, 0, mov ss, ax
    mov fs, ax
    EXPECT_FAULT 13, 0, mov al, [fs:0]
    ; Limit, with byte granularity, at its edge.
    SET_DESCRIPTOR GDT_FREE, 0x1000, 0xFF, 0x93, 0x40
    mov ax, GDT_FREE
    mov gs, ax
    mov al, [gs:0xFF]
    EXPECT_FAULT 13, 0, mov ax, [gs:0xFF]
    ; A read-only segment can't be written.
    SET_DESCRIPTOR GDT_FREE, 0, 0xFFFFF, 0x91, 0xC0
    mov ax, GDT_FREE
    mov gs, ax
    EXPECT_FAULT 13, 0, mov [gs:0x70000], al
    EXPECT_FAULT 6, NO_ERROR, ud2
    xor ecx, ecx
    EXPECT_FAULT 0, NO_ERROR, div ecx
    EXPECT_TRAP 3, NO_ERROR, int3
    EXPECT_TRAP 0x42, NO_ERROR, int 0x42
    ; INT n through a gate of DPL 0 from CPL 3: #GP(vector * 8 + 2).
    RUN_USER user_int
    CHECK_EXC 13, 0x42 * 8 + 2
    EXC_IP_IS user_int
    CHECK_EQ dword [exc_cs], UCODE32
    CHECK_EQ dword [exc_ss], UDATA32
    CHECK_EQ dword [exc_sp], USTACK_TOP
    RUN_USER user_done
    CHECK_USER_DONE
    CHECK_EQ ebx, 42
    PASS

user_int:
    int 0x42
user_done:
    mov ebx, 42
    USER_DONE
