// Test projects: `unit` is fast and touches no socket outside loopback; `e2e` starts real servers and real programs;
// `cluster` applies what synth wrote to a real Kubernetes, and is run by its own command: its programs take minutes to build.
import { defineConfig } from 'vitest/config'

const exclude = ['node_modules/**']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...exclude, 'test/e2e/**', 'test/cluster/**'],
          // against tests that hang; those that start programs take a second or two, and a busy machine far longer
          testTimeout: 30_000,
          hookTimeout: 30_000
        }
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false
        }
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude,
          globalSetup: 'test/cluster/setup.ts',
          testTimeout: 300_000,
          hookTimeout: 1_800_000,
          fileParallelism: false
        }
      }
    ]
  }
})
