; Boots a multiboot image of -kernel: loads the information block that the emulator prepared, adds what only the BIOS
; knows (memory sizes and map), loads the image, and enters it in protected mode (Multiboot Specification 0.6.96,
; section 3.2). The image comes last, on a stack of ours, for it may lie over the BIOS's data and stack.
;
; The block is below 640 KB and on a multiple of 16; its last WORK_SIZE bytes are for the map and the stack.

%define ROM_NAME 'multiboot kernel'
%define ROM_BYTES 1024
%include "bootrom.inc"

WORK_SIZE  equ 0x1000    ; linuxboot_multiboot.c has it too
MMAP_MAX   equ 0x800
ENTRY_SIZE equ 24        ; with the size field, which doesn't count itself

INFO_MEM_LOWER   equ 4
INFO_MEM_UPPER   equ 8
INFO_MMAP_LENGTH equ 44
INFO_MMAP_ADDR   equ 48

boot_entry:
    cli
    cld
    load FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA
    mov ax, FW_CFG_INITRD_ADDR
    call read32
    mov esi, eax
    shr eax, 4
    mov ds, ax           ; ds:0, esi: the information structure
    mov ax, FW_CFG_INITRD_SIZE
    call read32
    lea eax, [esi + eax - WORK_SIZE]
    mov [INFO_MMAP_ADDR], eax
    shr eax, 4
    mov es, ax           ; es:0: the map

    ; INT 15h, E820h: one entry a call, ebx = 0 after the last
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
    movzx edi, di
    mov [INFO_MMAP_LENGTH], edi
    int 0x12
    movzx eax, ax
    mov [INFO_MEM_LOWER], eax
    xor ecx, ecx
    xor edx, edx
    mov ax, 0xe801       ; cx: KB from 1 to 16 MB, dx: 64 KB blocks above
    push esi
    int 0x15
    pop esi
    cli
    movzx ecx, cx
    movzx edx, dx
    shl edx, 6
    add ecx, edx
    mov [INFO_MEM_UPPER], ecx

    mov ax, es
    mov ss, ax
    mov esp, WORK_SIZE
    load FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA
    mov ax, FW_CFG_KERNEL_ENTRY
    call read32
    mov edi, eax
    mov ebp, [INFO_MMAP_ADDR]

    ; flat protected mode
    xor eax, eax
    mov ax, cs
    shl eax, 4
    lea ebx, [eax + gdt]
    push ebx
    push word gdt_end - gdt - 1
    mov bx, sp
    o32 lgdt [ss:bx]
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
    lea esp, [ebp + WORK_SIZE]
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
