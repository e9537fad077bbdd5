; Which pairs of exceptions become a double fault (SDM vol. 3, table 6-5), its error code, and that a contributory
; exception after a page fault's delivery failed is one too. Benign first exceptions are followed by the second.
; no-qemu: TCG never sets EXT
%include "test.inc"

%macro BREAK_GATE 1             ; not present
    mov byte [IDT + (%1) * 8 + 5], 0x0E
%endmacro
%macro FIX_GATE 1
    mov byte [IDT + (%1) * 8 + 5], 0x8E
%endmacro

TEST32
    ; #GP, then #NP for its gate: contributory after contributory.
    BREAK_GATE 13
    mov eax, 0xFFF8
    EXPECT_FAULT 8, 0, mov fs, ax
    FIX_GATE 13
    ; #DE is contributory.
    BREAK_GATE 0
    xor ecx, ecx
    EXPECT_FAULT 8, 0, div ecx
    FIX_GATE 0
    ; #UD is benign: the #NP is delivered.
    BREAK_GATE 6
    EXPECT_FAULT 11, 6 * 8 + 3, ud2
    ; #UD, #NP whose gate is bad too: the second pair is contributory.
    BREAK_GATE 11
    EXPECT_FAULT 8, 0, ud2
    FIX_GATE 6
    FIX_GATE 11
    ; INT n is benign.
    BREAK_GATE 0x50
    EXPECT_FAULT 11, 0x50 * 8 + 2, int 0x50
    ; Page fault, then #NP: double. Paging with one 4 MB identity page.
    mov edi, 0x70000
    mov ecx, 1024
    xor eax, eax
    cld
    rep stosd
    mov dword [0x70000], 0x83
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov eax, 0x70000
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov edi, 0x800000
    EXPECT_FAULT 14, 2, mov [edi], al
    BREAK_GATE 14
    EXPECT_FAULT 8, 0, mov [edi], al
    CHECK_EQ dword [exc_cr2], 0x800000
    FIX_GATE 14
    ; Contributory, then page fault: the page fault is delivered. (The #GP gate's code is fine, its stack push isn't:
    ; come from CPL 3 with a level-1 stack on a missing page.)
    SET_DESCRIPTOR GDT_FREE, 0, 0xFFFFF, 0xBB, 0xC0
    SET_DESCRIPTOR GDT_FREE + 8, 0, 0xFFFFF, 0xB3, 0xC0
    mov dword [0x70000], 0x87
    mov eax, cr3
    mov cr3, eax
    mov dword [TSS + 12], 0x900000
    mov dword [TSS + 16], (GDT_FREE + 8) | 1
    mov word [IDT + 13 * 8 + 2], GDT_FREE | 1
    RUN_USER user_gp
    CHECK_EXC 14, 2
    CHECK_EQ dword [exc_cr2], 0x900000 - 4
    EXC_IP_IS user_gp
    ; Page fault, then page fault: double.
    mov word [IDT + 14 * 8 + 2], GDT_FREE | 1
    RUN_USER user_pf
    CHECK_EXC 8, 0
    CHECK_EQ dword [exc_cr2], 0x900000 - 4
    PASS
user_gp:
    hlt
user_pf:
    mov [0x800000], eax
