; Real mode: addresses wrap in the segment only by the offset's size, a word at offset FFFF is #GP, DIV by
; zero is a fault (IP on the instruction), INT pushes FLAGS, CS, IP.
; no-qemu: TCG doesn't check segment limits
%include "test.inc"

TEST16
    mov ax, 0x7000
    mov es, ax
    mov byte [es:0xFFFF], 0x5A
    CHECK_EQ byte [es:0xFFFF], 0x5A
    mov bx, 0xFFFF
    EXPECT_FAULT 13, 0, mov ax, [es:bx]
    mov cx, 0
    EXPECT_FAULT 0, 0, div cx
    EXPECT_FAULT 6, 0, ud2
    EXPECT_TRAP 0x21, 0, int 0x21
    mov ax, 0x7FFF
    add ax, 1
    CHECK_FLAGS 0x8D5, 0x894     ; OF SF AF PF, no ZF, CF
    CHECK_EQ ax, 0x8000
    PASS
