// Collects garbage when told to by SIGUSR2, and says so, so that what is measured then is what is really held.
process.on('SIGUSR2', () => {
  globalThis.gc?.()
  globalThis.gc?.()
  process.stderr.write('garbage collected\n')
})
