; 32-bit paging (4 KB and 4 MB pages, PSE-36's reserved bit) and PAE (PDPTEs loaded and checked by MOV CR3, reserved bits,
; NX), with error codes; supervisor, user, WP; A20 doesn't matter here.
; no-qemu: TCG lets a 4 MB page have its reserved bit 21 set
%include "test.inc"

PDIR    equ 0x70000
PTAB    equ 0x71000
PDPT3   equ 0x72000             ; PAE
PDIR3   equ 0x73000
DATA    equ 0x80000
V       equ 0x40000000

%macro FLUSH 0
    mov eax, cr3
    mov cr3, eax
%endmacro

TEST32
    mov edi, PDIR
    mov ecx, 4 * 1024
    xor eax, eax
    cld
    rep stosd
    ; Without CR4.PSE the PS bit is ignored: identity by a page table.
    mov edi, PTAB
    mov eax, 7
    mov ecx, 1024
.fill:
    stosd
    add eax, 4096
    loop .fill
    mov dword [PDIR], PTAB | 0x87
    mov dword [PDIR + 0x400], PTAB | 7           ; 40000000 too
    mov eax, PDIR
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov ebx, V + DATA
    mov dword [DATA], 0x11223344
    CHECK_EQ dword [ebx], 0x11223344
    EXPECT_FAULT 14, 0, mov eax, [ebx + 0x400000]
    CHECK_EQ dword [exc_cr2], V + DATA + 0x400000
    EXPECT_FAULT 14, 2, mov [ebx + 0x400000], eax
    ; Rights.
    mov dword [PTAB + 0x80 * 4], DATA | 3
    FLUSH
    RUN_USER user_read
    CHECK_EXC 14, 5
    CHECK_EQ dword [exc_cr2], V + DATA
    RUN_USER user_write
    CHECK_EXC 14, 7
    mov dword [PTAB + 0x80 * 4], DATA | 5
    FLUSH
    RUN_USER user_read_ok
    CHECK_USER_DONE
    RUN_USER user_write
    CHECK_EXC 14, 7
    mov dword [ebx], 5                           ; WP = 0
    CHECK_EQ byte [PTAB + 0x80 * 4], 0x65
    mov eax, cr0
    or eax, 1 << 16
    mov cr0, eax
    EXPECT_FAULT 14, 3, mov dword [ebx], 6
    CHECK_EQ dword [DATA], 5
    ; System structures are supervisor accesses: user code may run with the GDT, IDT and TSS in supervisor pages.
    mov dword [PTAB + 0x80 * 4], DATA | 7
    mov dword [PTAB + 0x50 * 4], 0x50003
    mov dword [PTAB + 0x52 * 4], 0x52003
    FLUSH
    RUN_USER user_read_ok
    CHECK_USER_DONE
    ; 4 MB pages.
    mov dword [PDIR], PTAB | 7
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov dword [PDIR], 0x87
    mov dword [PDIR + 0x400], 0x87
    FLUSH
    CHECK_EQ dword [ebx], 5
    test byte [PDIR + 0x400], 0x20
    CHECK_CC nz
    mov dword [ebx], 6
    test byte [PDIR + 0x400], 0x40
    CHECK_CC nz
    mov dword [PDIR + 0x400], 0x200087           ; bit 21: reserved
    FLUSH
    EXPECT_FAULT 14, 9, mov eax, [ebx]
    EXPECT_FAULT 14, 0xB, mov [ebx], eax
    ; PAE.
    mov eax, cr0
    and eax, 0x7FFFFFFF
    mov cr0, eax
    mov dword [PDIR3], 0xE7                      ; identity, 2 MB
    mov dword [PDIR3 + 8], 0xE7
    mov dword [PDPT3], PDIR3 | 1
    mov dword [PDPT3 + 8], PDIR3 | 1
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PDPT3
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    CHECK_EQ dword [ebx], 6
    CHECK_EQ dword [ebx + 0x200000], 6
    EXPECT_FAULT 14, 0, mov eax, [ebx + 0x400000]
    EXPECT_FAULT 14, 0, mov eax, [ebx + 0x40000000]
    CHECK_EQ dword [exc_cr2], V + DATA + 0x40000000
    ; PDPTEs are registers: a change in memory shows after MOV CR3.
    mov dword [PDPT3 + 8], 0
    CHECK_EQ dword [ebx], 6
    mov eax, PDPT3
    mov cr3, eax
    EXPECT_FAULT 14, 0, mov eax, [ebx]
    mov dword [PDPT3 + 8], PDIR3 | 3             ; bit 1 is reserved there
    mov eax, PDPT3
    EXPECT_FAULT 13, 0, mov cr3, eax
    mov dword [PDPT3 + 8], PDIR3 | 1
    mov dword [PDPT3 + 12], 0x00100000           ; bit 52
    mov eax, PDPT3
    EXPECT_FAULT 13, 0, mov cr3, eax
    mov dword [PDPT3 + 12], 0
    mov eax, PDPT3
    mov cr3, eax
    ; Reserved bits of PAE entries; NX.
    mov dword [PDIR3 + 12], 0x00100000
    FLUSH
    EXPECT_FAULT 14, 9, mov eax, [ebx + 0x200000]
    mov dword [PDIR3 + 12], 0x80000000
    FLUSH
    EXPECT_FAULT 14, 9, mov eax, [ebx + 0x200000]
    mov ecx, 0xC0000080
    rdmsr
    or eax, 1 << 11
    wrmsr
    mov eax, [ebx + 0x200000]
    mov byte [DATA], 0xC3
    call ebx
    RESUME_AT after_nx
    add ebx, 0x200000
    call ebx
    FAIL "NX page ran"
after_nx:
    CHECK_EXC 14, 0x11
    CHECK_EQ dword [exc_cr2], V + DATA + 0x200000
    PASS

user_read:
    mov eax, [V + DATA]
user_write:
    mov [V + DATA], eax
user_read_ok:
    mov eax, [V + DATA]
    USER_DONE
