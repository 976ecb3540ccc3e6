// Makes an error that nobody catches when told to by SIGHUP, as a defect somewhere in the process would.
process.on('SIGHUP', () => {
  void Promise.reject(new Error('a fault for the test'))
})
