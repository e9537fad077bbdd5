; Boots the Linux kernel of -kernel: loads its parts by fw_cfg DMA and enters the setup code in real mode, as the
; 16-bit boot protocol has it (Linux, Documentation/x86/boot.rst, "Running the kernel").

%define ROM_NAME 'Linux kernel'
%define ROM_BYTES 1024
%include "bootrom.inc"

boot_entry:
    cli
    cld
    load FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA
    load FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA
    load FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA
    load FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA

    mov ax, FW_CFG_SETUP_ADDR
    call read32
    mov ebx, eax
    mov ax, FW_CFG_CMDLINE_ADDR
    call read32
    sub eax, ebx         ; the stack ends just below the command line, in the setup segment
    sub eax, 16
    shr ebx, 4
    mov ds, bx
    mov es, bx
    mov fs, bx
    mov gs, bx
    mov ss, bx
    mov esp, eax
    add bx, 0x20         ; past the boot sector
    push bx
    push word 0
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor edi, edi
    xor ebp, ebp
    retf

    times ROM_BYTES - ($ - $$) db 0
