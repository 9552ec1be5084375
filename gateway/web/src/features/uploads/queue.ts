/** Files that are being uploaded: a few at a time, each with its progress. */

import { useSyncExternalStore } from "react";
import type { UploadOptions } from "@semantik/client";
import { sentence } from "../../messages/failures.ts";

export interface Upload {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly sent: number;
  readonly state: "waiting" | "sending" | "done" | "failed";
  readonly problem: string;
}

export type Send = (collectionId: string, name: string, file: Blob, options: UploadOptions) => Promise<unknown>;
const AT_ONCE = 4;

export class UploadQueue {
  #uploads: readonly Upload[] = [];
  #next = 0;
  #sending = 0;
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly send: Send,
    private readonly onDone: () => void = () => undefined,
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get = (): readonly Upload[] => this.#uploads;

  add(collectionId: string, files: readonly { name: string; file: File }[]): void {
    for (const { name, file } of files) {
      const upload: Upload = { id: this.#next++, name, size: file.size, sent: 0, state: "waiting", problem: "" };
      this.#set([...this.#uploads, upload]);
      this.#waiting.push(() => this.#run(upload.id, collectionId, name, file));
    }
    this.#start();
  }

  /** Forgets what has ended. */
  clear(): void {
    this.#set(this.#uploads.filter(({ state }) => state === "waiting" || state === "sending"));
  }

  #start(): void {
    while (this.#sending < AT_ONCE) {
      const run = this.#waiting.shift();
      if (!run) return;
      this.#sending += 1;
      void run().finally(() => {
        this.#sending -= 1;
        this.#start();
        if (this.#sending === 0) this.onDone();
      });
    }
  }

  async #run(id: number, collectionId: string, name: string, file: File): Promise<void> {
    this.#change(id, { state: "sending" });
    try {
      await this.send(collectionId, name, file, { onProgress: (sent) => this.#change(id, { sent }) });
      this.#change(id, { state: "done", sent: file.size });
    } catch (error) {
      this.#change(id, { state: "failed", problem: sentence(error).message });
    }
  }

  #change(id: number, values: Partial<Upload>): void {
    this.#set(this.#uploads.map((upload) => (upload.id === id ? { ...upload, ...values } : upload)));
  }

  #set(uploads: readonly Upload[]): void {
    this.#uploads = uploads;
    for (const listener of this.#listeners) listener();
  }
}

export function useUploads(queue: UploadQueue): readonly Upload[] {
  return useSyncExternalStore(queue.subscribe, queue.get);
}
