/** The machine editor: the form and the command line say the same, whichever is changed. */
const line = (page) => page.locator('#command').inputValue();

async function edit(t, command) {
  const page = await t.open(`index.html?edit=${encodeURIComponent(command)}`);
  await page.getByLabel(/^Memory/).waitFor();
  return page;
}

export async function test_settings_and_command_line_stay_in_step(t) {
  const page = await edit(t, '-m 64 -nic user,model=e1000 -S');
  t.equal(await page.locator('#state').textContent(), 'off', 'the state of a PC that is edited');
  t.equal(await page.getByLabel(/^Memory/).inputValue(), '64', 'the field for -m');
  // The form writes the command line ...
  await page.getByLabel(/^Memory/).fill('96');
  await page.getByLabel(/^CD/).fill("a disk.iso");
  t.equal(await line(page), "-m 96 -nic user,model=e1000 -S -cdrom 'a disk.iso'", 'the command line');
  t.match(new URL(page.url()).searchParams.get('edit'), /^-m 96 .*a disk\.iso/, 'the address');
  await page.getByLabel(/^CD/).fill('');
  await page.getByLabel('Add a property to nic').selectOption('restrict');
  await page.getByLabel('restrict', { exact: true }).selectOption('off');
  t.equal(await line(page), '-m 96 -nic user,model=e1000,restrict=off -S', 'the command line');
  await page.getByRole('button', { name: 'Remove model from nic' }).click();
  await page.getByRole('button', { name: 'Remove -S' }).click();
  t.equal(await line(page), '-m 96 -nic user,restrict=off', 'the command line');
  await page.getByRole('button', { name: /card shared with other tabs/ }).click();
  await page.getByLabel('Another option').selectOption('vga');
  t.equal(await line(page), '-m 96 -nic user,restrict=off -netdev socket,id=net0,channel=lan -device virtio-net-pci,netdev=net0 -vga std', 'the command line');
  await page.getByRole('button', { name: /mouse that needs no capture/ }).click();
  await page.getByRole('button', { name: /sound card/ }).click();
  await page.getByLabel('Add a property to device').last().waitFor();
  t.match(await line(page), / -device virtio-tablet-pci -device AC97$/, 'the command line');
  t.match(await page.locator('#editor fieldset').first().textContent(), /-device.*-device/, 'the group Machine');
  // ... and the command line the form.
  await page.locator('#command').fill('-m 1G -drive file=x,,y.img,if=virtio -netdev hubport,id=h,hubid=0 -fnord 7 image.raw');
  t.equal(await page.getByLabel(/^Memory/).inputValue(), '1G', 'the field for -m');
  t.equal(await page.getByLabel(/^Drive/).inputValue(), 'x,y.img', 'the file of -drive');
  t.equal(await page.getByLabel('hubid', { exact: true }).inputValue(), '0', 'a property of -netdev');
  t.match(await page.locator('#editor').textContent(), /-fnord.*This option is not known/, 'an option that is not known');
  await page.getByLabel('hubid', { exact: true }).fill('1');
  t.equal(await line(page), '-m 1G -drive file=x,,y.img,if=virtio -netdev hubport,id=h,hubid=1 -fnord 7 image.raw', 'the command line');
  await page.locator('#command').fill('-append "never closed');
  t.match(await page.locator('#command-error').textContent(), /ends inside/, 'quotes that do not match');
  await page.reload();
  t.equal(await line(page), '-append "never closed', 'the command line after a reload');
}

export async function test_each_option_of_the_table_has_its_form(t) {
  const page = await edit(t, '-m 64');
  const names = await page.evaluate(async () => {
    const { parseOptions } = await import('./option-table.js');
    return [...parseOptions(await (await fetch('options.md')).text()).values()].map(({ name, help }) => [name, help]);
  });
  if (names.length < 50) throw new Error(`only ${names.length} options`);
  for (const [name, help] of names) if (!help) throw new Error(`-${name} has no help`);
  const adder = page.getByLabel('Another option');
  for (const name of await adder.locator('option').evaluateAll((all) => all.map((o) => o.value).filter(Boolean))) {
    await adder.selectOption(name);
    if (!(await line(page)).includes(` -${name}`)) throw new Error(`-${name} is not in ${await line(page)}`);
  }
  await t.accessible(page, 'the editor with all options');
}

export async function test_errors_are_shown_at_the_option(t) {
  t.expectedErrors = [/404/];
  const cases = [
    ['-m 99999999 -nic none', /^Memory/, /-m|memory/],
    ['-m 64 -nic user,restrict=maybe', /^Network card/, /restrict/],
    ['-m 64 -cdrom guests/none.iso -nic none', /^CD/, /none\.iso: 404/],
    ['-m 64 -device nosuch -nic none', /^Device/, /nosuch/],
    ['-m 64 -fnord 7', /-fnord/, /fnord/],
  ];
  const page = await edit(t, '-m 64');
  for (const [command, label, message] of cases) {
    await page.locator('#command').fill(command);
    await page.getByRole('button', { name: 'Start' }).click();
    await t.message(page, message);
    const field = page.getByLabel(label).first();
    await t.eventually(() => field.getAttribute('aria-invalid'), /true/, `${command}: the field`, 20);
    const id = (await field.getAttribute('aria-describedby')).split(' ')[1];
    t.match(await page.locator(`#${id}`).textContent(), message, `${command}: what stands at the field`);
    t.equal(await page.locator('#editor [aria-invalid=true]').count(), 1, `${command}: fields with errors`);
  }
  await page.locator('#command').fill('-m 512 -kernel guest/vmlinuz.gz -initrd guest/boot.gz -append "console=ttyS0 quiet" -nic user,model=rtl8139,hostfwd=tcp::2222-:22 -m 99999999');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.message(page, /-m|memory/);
  await page.setViewportSize({ width: 1280, height: 1500 });
  await t.picture(page, 'editor');
  await t.accessible(page, 'the editor');
  await page.emulateMedia({ colorScheme: 'dark' });
  await t.picture(page, 'editor-dark');
  await t.accessible(page, 'the editor in the dark');
  await page.setViewportSize({ width: 360, height: 740 });
  await t.accessible(page, 'the editor on a phone');
  await page.locator('#message').evaluate(() => scrollTo(0, 500));
  await t.picture(page, 'editor-phone');
}
