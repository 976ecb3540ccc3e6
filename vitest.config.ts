// Test projects: `unit` is fast and touches no socket outside loopback; `e2e` starts real servers and real programs.
import { defineConfig } from 'vitest/config'

const exclude = ['node_modules/**']

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...exclude, 'test/e2e/**', 'test/cluster/**'] }
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
      }
    ]
  }
})
