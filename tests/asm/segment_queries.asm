; LAR, LSL, VERR, VERW and ARPL: which descriptors they accept, results of both sizes, privilege, and that only ZF changes.
; no-qemu: TCG checks no segment limits
%include "test.inc"

DATA0   equ GDT_FREE            ; data, DPL 0
CODE3   equ GDT_FREE + 8        ; execute-only code, DPL 3
CONF0   equ GDT_FREE + 16       ; conforming, readable, DPL 0
BYTES   equ GDT_FREE + 24       ; byte limit 12345, read-only data, DPL 3
LDT_SEL equ GDT_FREE + 32
INTGATE equ GDT_FREE + 40
CALL32  equ GDT_FREE + 48
TASK    equ GDT_FREE + 56
RESERVED equ GDT_FREE + 64      ; type 0

TEST32
    SET_DESCRIPTOR DATA0, 0, 0xABCDE, 0x93, 0xD0
    SET_DESCRIPTOR CODE3, 0, 0xFFFFF, 0xF8, 0xC0
    SET_DESCRIPTOR CONF0, 0, 0xFFFFF, 0x9E, 0xC0
    SET_DESCRIPTOR BYTES, 0, 0x12345, 0xF0, 0x40
    SET_DESCRIPTOR LDT_SEL, 0, 0xFF, 0x82, 0
    SET_DESCRIPTOR INTGATE, 0, 0, 0x8E, 0
    SET_DESCRIPTOR CALL32, 0, 0, 0x8C, 0
    SET_DESCRIPTOR TASK, 0, 0, 0x85, 0
    SET_DESCRIPTOR RESERVED, 0, 0, 0x80, 0
%macro ACCEPT 2+
    xor eax, eax
    mov ecx, %1
    cmp eax, 1                                   ; CF, no ZF
    %2
    jnz %%bad
    jc %%ok
%%bad:
    FAIL "refused, or CF changed"
%%ok:
%endmacro
%macro REFUSE 2+
    mov eax, 0x12345678
    mov ecx, %1
    cmp eax, eax
    %2
    jnz %%ok
    FAIL "accepted"
%%ok:
    CHECK_EQ eax, 0x12345678
%endmacro
    ACCEPT DATA0, lar eax, ecx
    and eax, 0x00F0FF00                          ; bits 16-19 are undefined
    CHECK_EQ eax, 0x00D09300
    ACCEPT DATA0, lar ax, cx
    CHECK_EQ eax, 0x9300
    ACCEPT DATA0, lsl eax, ecx
    CHECK_EQ eax, 0xABCDEFFF
    ACCEPT DATA0, lsl ax, cx
    CHECK_EQ eax, 0xEFFF
    ACCEPT BYTES, lsl eax, ecx
    CHECK_EQ eax, 0x12345
    ACCEPT LDT_SEL, lar eax, ecx
    ACCEPT LDT_SEL, lsl eax, ecx
    CHECK_EQ eax, 0xFF
    ACCEPT CALL32, lar eax, ecx
    REFUSE CALL32, lsl eax, ecx
    ACCEPT TASK, lar eax, ecx
    REFUSE TASK, lsl eax, ecx
    REFUSE INTGATE, lar eax, ecx
    REFUSE RESERVED, lar eax, ecx
    REFUSE 0, lar eax, ecx
    REFUSE 3, lsl eax, ecx
    REFUSE 0xFFF8, lar eax, ecx
    REFUSE DATA0 | 3, lar eax, ecx
    ACCEPT CONF0 | 3, lar eax, ecx
    ACCEPT CODE3 | 3, lar eax, ecx
    ; VERR, VERW.
    ACCEPT DATA0, verr cx
    ACCEPT DATA0, verw cx
    REFUSE DATA0 | 3, verr cx
    REFUSE CODE3, verr cx
    REFUSE CODE3, verw cx
    ACCEPT CONF0 | 3, verr cx
    REFUSE CONF0, verw cx
    ACCEPT BYTES, verr cx
    REFUSE BYTES, verw cx
    REFUSE LDT_SEL, verr cx
    REFUSE 0, verr cx
    ; ARPL.
    mov eax, 0x10
    mov ecx, 2
    arpl ax, cx
    CHECK_CC z
    CHECK_EQ eax, 0x12
    mov ecx, 1
    arpl ax, cx
    CHECK_CC nz
    CHECK_EQ eax, 0x12
    ; A memory operand that can't be read is #GP as ever.
    SET_DESCRIPTOR RESERVED, 0, 0xF, 0x93, 0x40
    mov eax, RESERVED
    mov fs, ax
    EXPECT_FAULT 13, 0, lar eax, [fs:0xF]
    RUN_USER user_queries
    CHECK_USER_DONE
    CHECK_EQ ebx, 3
    PASS
user_queries:
    xor ebx, ebx
    mov ecx, DATA0
    lar eax, ecx
    jz .end
    inc ebx
    mov ecx, CONF0
    lar eax, ecx
    jnz .end
    inc ebx
    mov ecx, BYTES
    verr cx
    jnz .end
    inc ebx
.end:
    USER_DONE
