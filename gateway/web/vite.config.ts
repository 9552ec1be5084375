/** How the app is built, and served while it is written: `SEMANTIK=http://127.0.0.1:8080 npm run dev`. */

import react from "@vitejs/plugin-react";
import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

const gateway = process.env.SEMANTIK ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  // The client is built from its source, with the app.
  resolve: { conditions: ["source", ...defaultClientConditions] },
  ssr: { resolve: { conditions: ["source", ...defaultServerConditions] } },
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "^/(semantik\\.|v1/)": gateway } },
  test: { environment: "node", server: { deps: { inline: ["@semantik/client"] } }, include: ["src/**/*.test.{ts,tsx}"] },
});
