; What MOV CR, LMSW, WRMSR, XSETBV and friends refuse, from CPL 0 in long mode, and that CPL 3 may use none of them.
; no-bochs: its processor model has other features
; no-qemu: TCG doesn't check most of these
%include "test.inc"

%macro WRMSR_GP 3               ; MSR, high, low
    mov ecx, %1
    mov edx, %2
    mov eax, %3
    EXPECT_FAULT 13, 0, wrmsr
%endmacro
%macro WRMSR_OK 3
    mov ecx, %1
    mov edx, %2
    mov eax, %3
    wrmsr
%endmacro

TEST64
    ; CR0: PG without PE, NW without CD, high half, PG off in 64-bit code.
    mov rbx, cr0
    mov rax, rbx
    and eax, ~1
    EXPECT_FAULT 13, 0, mov cr0, rax
    mov rax, rbx
    and eax, ~(1 << 30)
    or eax, 1 << 29
    EXPECT_FAULT 13, 0, mov cr0, rax
    mov eax, ebx
    and eax, 0x7FFFFFFF
    EXPECT_FAULT 13, 0, mov cr0, rax
    mov rax, 0x100000000
    or rax, rbx
    EXPECT_FAULT 13, 0, mov cr0, rax
    mov rax, rbx
    and eax, ~0x10                               ; ET stays 1
    mov cr0, rax
    mov rax, cr0
    test eax, 0x10
    CHECK_CC nz
    ; CR3: bits beyond the physical width.
    mov rax, 1 << 52
    or rax, PML4
    EXPECT_FAULT 13, 0, mov cr3, rax
    mov rax, 1 << 63                             ; without PCIDE
    or rax, PML4
    EXPECT_FAULT 13, 0, mov cr3, rax
    ; CR4: reserved bits, PAE off in long mode, PCIDE with a PCID in CR3.
    mov rbx, cr4
    mov rax, rbx
    or eax, 1 << 15
    EXPECT_FAULT 13, 0, mov cr4, rax
    mov rax, rbx
    or eax, 1 << 31
    EXPECT_FAULT 13, 0, mov cr4, rax
    mov rax, rbx
    and eax, ~0x20
    EXPECT_FAULT 13, 0, mov cr4, rax
    mov eax, PML4 | 8
    mov cr3, rax
    mov rax, rbx
    or eax, 1 << 17
    EXPECT_FAULT 13, 0, mov cr4, rax
    mov eax, PML4
    mov cr3, rax
    mov rax, rbx
    or eax, 1 << 17
    mov cr4, rax
    mov rax, cr0
    and eax, 0x7FFFFFFF
    EXPECT_FAULT 13, 0, mov cr0, rax
    mov rax, (1 << 63) | PML4 | 5                ; keep translations: bit 63 reads as 0
    mov cr3, rax
    mov rax, cr3
    CHECK_EQ rax, PML4 | 5
    mov eax, PML4
    mov cr3, rax
    mov cr4, rbx
    ; CR1, CR5-CR7 don't exist; CR8 has 4 bits.
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x20, 0xC8
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x22, 0xE8
    mov eax, 16
    EXPECT_FAULT 13, 0, mov cr8, rax
    ; LMSW sets PE but can't clear it.
    smsw eax
    mov ecx, eax
    and eax, ~1
    lmsw ax
    smsw eax
    test eax, 1
    CHECK_CC nz
    ; Debug registers: high halves of DR6 and DR7.
    mov rax, 1 << 32
    EXPECT_FAULT 13, 0, mov dr6, rax
    EXPECT_FAULT 13, 0, mov dr7, rax
    mov dr0, rax
    ; MSRs.
    WRMSR_GP 0xC0000080, 0, 0x80000              ; EFER reserved
    WRMSR_GP 0xC0000080, 0, 0x000                ; LME off while paging
    WRMSR_GP 0xC0000082, 0x8000, 0               ; LSTAR not canonical
    WRMSR_GP 0xC0000100, 0x8000, 0
    WRMSR_GP 0xC0000102, 0xFFFF0000, 0
    WRMSR_OK 0xC0000102, 0xFFFF8000, 0
    WRMSR_GP 0x176, 0x8000, 0
    WRMSR_GP 0x277, 0, 2                         ; PAT type 2
    WRMSR_GP 0x277, 0x08000000, 0
    WRMSR_OK 0x277, 0x00070106, 0x00070106
    WRMSR_GP 0x2FF, 0, 0x302                     ; MTRR default type
    WRMSR_GP 0x200, 0, 7
    WRMSR_GP 0x201, 0xFFF00000, 0
    WRMSR_GP 0x250, 0, 0x02020202
    WRMSR_GP 0x1B, 0, 0xFEE00D00 & ~0x800        ; x2APIC without enable
    WRMSR_GP 0x12345, 0, 0
    mov ecx, 0x12345
    EXPECT_FAULT 13, 0, rdmsr
    mov ecx, 0x800                               ; x2APIC registers outside x2APIC mode
    EXPECT_FAULT 13, 0, rdmsr
    ; XSETBV.
    xor ecx, ecx
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x01, 0xD0 ; XGETBV
    mov rax, cr4
    or eax, (1 << 18) | (1 << 9)
    mov cr4, rax
    mov eax, 2
    xor edx, edx
    EXPECT_FAULT 13, 0, db 0x0F, 0x01, 0xD1 ; XSETBV
    mov eax, 7
    EXPECT_FAULT 13, 0, db 0x0F, 0x01, 0xD1 ; XSETBV
    mov eax, 3
    mov ecx, 1
    EXPECT_FAULT 13, 0, db 0x0F, 0x01, 0xD1 ; XSETBV
    xor ecx, ecx
    db 0x0F, 0x01, 0xD1
    mov eax, 0
    db 0x0F, 0x01, 0xD0
    CHECK_EQ eax, 3
    ; LGDT and LIDT of a base that isn't canonical.
    sub rsp, 16
    mov word [rsp], 0xFFFF
    mov rax, 0x0000800000000000
    mov [rsp + 2], rax
    EXPECT_FAULT 13, 0, lgdt [rsp]
    EXPECT_FAULT 13, 0, lidt [rsp]
    add rsp, 16
    ; LOCK, and mandatory encodings.
    EXPECT_FAULT 6, NO_ERROR, db 0xF0, 0x0F, 0x30
    EXPECT_FAULT 6, NO_ERROR, db 0x0F, 0x01, 0xC0
    EXPECT_FAULT 6, NO_ERROR, ud0 eax, eax
    EXPECT_FAULT 6, NO_ERROR, ud1 eax, eax
    ; From CPL 3.
%macro USER_GP 1
    RUN_USER %1
    CHECK_EXC 13, 0
    EXC_IP_IS %1
%endmacro
    USER_GP user_cr
    USER_GP user_clts
    USER_GP user_lmsw
    USER_GP user_hlt
    USER_GP user_invlpg
    USER_GP user_wbinvd
    USER_GP user_rdmsr
    USER_GP user_lgdt
    USER_GP user_cli
    USER_GP user_xsetbv
    USER_GP user_rdpmc
    mov rax, cr4
    or eax, (1 << 11) | 4                        ; UMIP, TSD
    mov cr4, rax
    USER_GP user_sgdt
    USER_GP user_smsw
    USER_GP user_str
    USER_GP user_rdtsc
    and byte [abs TSS_IOMAP + 0x80 / 8], ~1
    RUN_USER user_in
    CHECK_EXC 6, NO_ERROR
    or byte [abs TSS_IOMAP + 0x80 / 8], 2        ; port 81h
    RUN_USER user_in
    CHECK_EXC 6, NO_ERROR
    USER_GP user_in16
    or byte [abs TSS_IOMAP + 0x1FFF], 0x80       ; port FFFFh
    mov dx, 0xFFFF
    USER_GP user_in_last
    mov word [abs TSS + 0x66], 0xFFF0            ; no bitmap
    USER_GP user_in
    PASS

user_cr:     mov rax, cr0
user_clts:   clts
user_lmsw:   lmsw ax
user_hlt:    hlt
user_invlpg: invlpg [abs 0]
user_wbinvd: wbinvd
user_rdmsr:  rdmsr
user_lgdt:   lgdt [abs gdtr]
user_cli:    cli
user_xsetbv: db 0x0F, 0x01, 0xD1
user_rdpmc:  rdpmc
user_sgdt:   sgdt [rsp - 16]
user_smsw:   smsw eax
user_str:    str eax
user_rdtsc:  rdtsc
user_in:     in al, 0x80
             ud2
user_in16:   in ax, 0x80
user_in_last:
    db 0xEC
