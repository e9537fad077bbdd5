; 4-level paging: P, W, U and NX at each level, WP, reserved bits (large-page address bits, bits beyond the physical width,
; NX without EFER.NXE), A and D, global pages and INVLPG, SMEP, SMAP, instruction fetch, accesses that cross into a bad page.
; no-bochs: its processor model has neither SMEP nor SMAP
; no-qemu: TCG's read-modify-write faults as a read
; args: -cpu max
%include "test.inc"

PT       equ 0x70000            ; a page table that maps 40000000..401FFFFF in 4 KB pages
V        equ 0x40000000
DATA     equ 0x80000            ; the page behind them

%macro ENTRY 2                  ; 4 KB page number in the window, entry bits
    mov qword [abs PT + (%1) * 8], DATA | (%2)
    invlpg [V + (%1) * 4096]
%endmacro

TEST64
    mov edi, PT
    mov ecx, 1024
    xor eax, eax
    rep stosd
    mov qword [abs PDPT + 8], 0x71000 | 7        ; 40000000: PD at 71000
    mov edi, 0x71000
    mov ecx, 1024
    rep stosd
    mov qword [abs 0x71000], PT | 7
    mov ebx, V
    ; Not present, and a later level's error.
    EXPECT_FAULT 14, 0, mov al, [rbx]
    CHECK_EQ64 qword [abs exc_cr2], V
    EXPECT_FAULT 14, 2, inc byte [rbx + 5]
    CHECK_EQ64 qword [abs exc_cr2], V + 5
    ; Read-only: a supervisor may write while WP is 0.
    ENTRY 0, 5
    mov al, [rbx]
    mov [rbx], al
    mov rax, cr0
    or eax, 1 << 16
    mov cr0, rax
    EXPECT_FAULT 14, 3, mov [rbx], al
    EXPECT_FAULT 14, 3, lock cmpxchg [rbx], al
    CHECK_EQ byte [abs PT], 0x65                 ; A and D
    ; Read-only by the PDE.
    ENTRY 0, 7
    mov qword [abs 0x71000], PT | 5
    mov rax, cr3
    mov cr3, rax
    EXPECT_FAULT 14, 3, mov [rbx], al
    mov qword [abs 0x71000], PT | 7
    mov rax, cr3
    mov cr3, rax
    ; Accessed and dirty.
    ENTRY 0, 7
    mov al, [rbx]
    CHECK_EQ byte [abs PT], 0x27
    mov [rbx], al
    CHECK_EQ byte [abs PT], 0x67
    test byte [abs 0x71000], 0x20
    CHECK_CC nz
    ; A faulting access sets neither.
    ENTRY 0, 5
    EXPECT_FAULT 14, 3, mov [rbx], al
    CHECK_EQ byte [abs PT], 5
    ; User pages.
    ENTRY 0, 3
    ENTRY 1, 5
    ENTRY 2, 7
    RUN_USER user_read0
    CHECK_EXC 14, 5
    RUN_USER user_write0
    CHECK_EXC 14, 7
    RUN_USER user_write1
    CHECK_EXC 14, 7
    RUN_USER user_fetch0
    CHECK_EXC 14, 5                              ; I is 0 while NXE and SMEP are off
    CHECK_EQ64 qword [abs exc_cr2], V
    EXC_IP_IS V
    ; Crossing: the second page is bad; the address is its first byte; nothing is written to the first.
    ENTRY 2, 7
    ENTRY 3, 0
    mov qword [abs DATA + 0xFF8], -1
    EXPECT_FAULT 14, 2, mov qword [rbx + 0x2FFC], 0
    CHECK_EQ64 qword [abs exc_cr2], V + 0x3000
    CHECK_EQ64 qword [abs DATA + 0xFF8], -1
    EXPECT_FAULT 14, 0, mov rax, [rbx + 0x2FFC]
    CHECK_EQ64 qword [abs exc_cr2], V + 0x3000
    EXPECT_FAULT 14, 0, push qword [rbx + 0x2FFF]
    ; NX.
    mov byte [abs DATA], 0xC3
    ENTRY 0, 3
    mov dword [abs PT + 4], 0x80000000
    invlpg [rbx]
    EXPECT_FAULT 14, 9, mov al, [rbx]            ; reserved without NXE
    mov ecx, 0xC0000080
    rdmsr
    or eax, 1 << 11
    wrmsr
    mov al, [rbx]
    RESUME_AT after_nx
    call rbx
    FAIL "NX page ran"
after_nx:
    CHECK_EXC 14, 0x11
    EXC_IP_IS V
    CHECK_EQ64 qword [abs exc_cr2], V
    mov dword [abs PT + 4], 0
    invlpg [rbx]
    call rbx
    ; Reserved address bits: beyond the physical width, and below a large page's size.
    mov dword [abs PT + 4], 0x00080000
    invlpg [rbx]
    EXPECT_FAULT 14, 0xB, mov [rbx], al
    mov dword [abs PT + 4], 0
    mov qword [abs 0x71008], 0x200000 | 0x87
    invlpg [rbx + 0x200000]
    mov al, [rbx + 0x200000]
    mov qword [abs 0x71008], 0x202000 | 0x87     ; bit 13
    invlpg [rbx + 0x200000]
    EXPECT_FAULT 14, 9, mov al, [rbx + 0x200000]
    mov qword [abs 0x71008], 0x200000 | 0x1087   ; bit 12 is PAT
    invlpg [rbx + 0x200000]
    mov al, [rbx + 0x200000]
    mov qword [abs PDPT + 16], 0x40000000 | 0x87 ; a 1 GB page
    mov rax, 0x80000000
    mov qword [abs PDPT + 16], 0x87
    mov dl, [rax + DATA]
    CHECK_EQ dl, 0xC3
    mov qword [abs PDPT + 24], 0x20000000 | 0x87 ; not aligned to it
    mov rax, 0xC0000000
    EXPECT_FAULT 14, 9, mov dl, [rax]
    or qword [abs PML4 + 8], 0x87                ; PS in a PML4 entry
    mov rax, 0x8000000000
    EXPECT_FAULT 14, 9, mov dl, [rax]
    ; Non-canonical.
    mov rax, 0x0000800000000000
    EXPECT_FAULT 13, 0, mov dl, [rax]
    mov rax, 0x00007FFFFFFFFFFE
    EXPECT_FAULT 14, 0, mov dl, [rax]
    ; Global pages survive a CR3 load, not INVLPG, not a CR4.PGE change.
    mov rax, cr4
    or eax, 1 << 7
    mov cr4, rax
    mov byte [abs DATA + 0x1000], 0x11
    mov byte [abs DATA], 0x22
    ENTRY 4, 0x103
    mov al, [rbx + 0x4000]
    CHECK_EQ al, 0x22
    ; SMEP, SMAP. The harness's own pages must not be user pages then.
    and qword [abs PD], ~4
    mov rax, cr3
    mov cr3, rax
    mov byte [abs DATA], 0xC3
    ENTRY 0, 7
    call rbx
    mov rax, cr4
    or eax, 1 << 20
    mov cr4, rax
    RESUME_AT after_smep
    call rbx
    FAIL "SMEP"
after_smep:
    CHECK_EXC 14, 0x11
    mov rax, cr4
    or eax, 1 << 21
    mov cr4, rax
    EXPECT_FAULT 14, 1, mov al, [rbx]
    EXPECT_FAULT 14, 3, mov [rbx], al
    db 0x0F, 0x01, 0xCB      ; STAC
    mov al, [rbx]
    mov [rbx], al
    db 0x0F, 0x01, 0xCA      ; CLAC
    EXPECT_FAULT 14, 1, mov al, [rbx]
    PASS

user_read0:
    mov ebx, V
    mov al, [rbx]
user_write0:
    mov ebx, V
    mov [rbx], al
user_write1:
    mov ebx, V
    mov [rbx + 0x1000], al
user_fetch0:
    mov eax, V
    jmp rax
