import { fileURLToPath } from 'node:url'

import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Where `npm run dev` and `npm run preview` find the server's API. */
const api = process.env['CANH_API'] ?? 'http://127.0.0.1:8686'
const proxy = { '/api': { target: api, changeOrigin: false } }

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '~test': here('./test'), '~': here('./src') } },
  server: { host: '127.0.0.1', proxy },
  preview: { host: '127.0.0.1', proxy },
  build: {
    target: 'es2022',
    // The page's policy allows files of ours and nothing else, so nothing is inlined as a `data:` address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['./test/setup.ts'],
    include: ['src/**/*.test.{ts,tsx}', 'test/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    testTimeout: 20_000,
  },
})
