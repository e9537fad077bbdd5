; Boots a multiboot image of -kernel: loads the image and the information structure that the emulator prepared, adds
; what only the BIOS knows (memory sizes and map), and enters the kernel in protected mode (Multiboot Specification
; 0.6.96, section 3.2).

%define ROM_NAME 'multiboot kernel'
%define ROM_BYTES 1024
%include "bootrom.inc"

MMAP_MAX     equ 0x500   ; the map goes right below the information structure
ENTRY_SIZE   equ 24      ; with the size field, which doesn't count itself

INFO_MEM_LOWER   equ 4
INFO_MEM_UPPER   equ 8
INFO_MMAP_LENGTH equ 44
INFO_MMAP_ADDR   equ 48

boot_entry:
    cli
    cld
    load FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA
    load FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA

    ; INT 15h, E820h: one entry a call, ebx = 0 after the last
    mov ax, FW_CFG_INITRD_ADDR
    call read32
    mov esi, eax         ; the information structure, in the first 64 KB, at a multiple of 16
    sub ax, MMAP_MAX
    shr ax, 4
    mov es, ax
    xor edi, edi
    xor ebx, ebx
.next_entry:
    mov dword [es:di], ENTRY_SIZE - 4
    mov eax, 0xe820
    mov edx, 0x534d4150  ; "SMAP"
    mov ecx, ENTRY_SIZE - 4
    add di, 4
    push esi
    int 0x15
    pop esi
    jc .map_done
    add di, ENTRY_SIZE - 4
    test ebx, ebx
    jz .map_end
    cmp di, MMAP_MAX - ENTRY_SIZE
    jbe .next_entry
    jmp .map_end
.map_done:
    sub di, 4
.map_end:
    movzx ebp, di        ; length

    xor ax, ax
    mov ds, ax
    mov [esi + INFO_MMAP_LENGTH], ebp
    lea eax, [esi - MMAP_MAX]
    mov [esi + INFO_MMAP_ADDR], eax
    int 0x12
    movzx eax, ax
    mov [esi + INFO_MEM_LOWER], eax
    xor ecx, ecx
    xor edx, edx
    mov ax, 0xe801       ; cx: KB from 1 to 16 MB, dx: 64 KB blocks above
    push esi
    int 0x15
    pop esi
    movzx ecx, cx
    movzx edx, dx
    shl edx, 6
    add ecx, edx
    mov [esi + INFO_MEM_UPPER], ecx

    mov ax, FW_CFG_KERNEL_ENTRY
    call read32
    mov edi, eax

    ; flat protected mode
    xor eax, eax
    mov ax, cs
    shl eax, 4
    lea ebx, [eax + gdt]
    push ebx
    push word gdt_end - gdt - 1
    mov bp, sp
    o32 lgdt [bp]
    lea ebx, [eax + protected]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    push dword gdt.code - gdt
    push ebx
    o32 retf

    bits 32
protected:
    mov ax, gdt.data - gdt
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov esp, 0x7c00
    mov ebx, esi
    mov eax, 0x2badb002
    jmp edi

    align 8
gdt:
    dq 0
.code:
    dq 0x00cf9b000000ffff
.data:
    dq 0x00cf93000000ffff
gdt_end:

    times ROM_BYTES - ($ - $$) db 0
