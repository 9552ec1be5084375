/** Where files are dropped, and what becomes of them. */

import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type DragEvent, type ReactNode } from "react";
import { size } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { tellFailure } from "../../app/toasts.tsx";
import { Button, Meter } from "../../design/index.tsx";
import { text as common } from "../../messages/app.ts";
import { text } from "../collections/messages.ts";
import { chosen, dropped } from "./files.ts";
import { UploadQueue, useUploads } from "./queue.ts";
import "./drop-zone.css";

export function DropZone({ collectionId, isOpen, children }: { collectionId: string; isOpen: boolean; children: ReactNode }) {
  const queries = useQueryClient();
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const [queue] = useState(() => new UploadQueue((...upload) => semantik.uploads.upload(...upload), () => void queries.invalidateQueries()));
  if (!isOpen) return children;
  const over = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    dropped(event.dataTransfer.items).then((files) => queue.add(collectionId, files), tellFailure);
  };
  return (
    <div className={`drop-zone ${isOver ? "over" : ""}`} data-label={text.drop} onDragOver={over} onDragLeave={() => setOver(false)} onDrop={drop}>
      {children}
      <div className="row" style={{ marginTop: 16 }}>
        <input
          ref={picker}
          type="file"
          multiple
          className="hidden"
          aria-label={text.choose}
          tabIndex={-1}
          onChange={(event) => {
            if (event.target.files) queue.add(collectionId, chosen(event.target.files));
            event.target.value = "";
          }}
        />
        <Button onClick={() => picker.current?.click()}>{text.choose}</Button>
        <span className="muted small">{text.drop}</span>
      </div>
      <Uploads queue={queue} />
    </div>
  );
}

function Uploads({ queue }: { queue: UploadQueue }) {
  const uploads = useUploads(queue);
  if (uploads.length === 0) return null;
  const done = uploads.filter(({ state }) => state === "done").length;
  return (
    <section className="card uploads stack-small" aria-label={text.uploading}>
      <div className="spread">
        <strong>
          {text.uploading}: {done} / {uploads.length}
        </strong>
        <Button tone="plain" onClick={() => queue.clear()}>
          {common.close}
        </Button>
      </div>
      <ul className="stack-small">
        {uploads.map((upload) => (
          <li key={upload.id}>
            <div className="spread small">
              <span className="one-line">{upload.name}</span>
              <span className="muted">{upload.state === "failed" ? text.failed : size(upload.size)}</span>
            </div>
            <Meter value={upload.size ? upload.sent / upload.size : Number(upload.state === "done")} label={upload.name} />
            {upload.problem && <div className="small muted">{upload.problem}</div>}
          </li>
        ))}
      </ul>
    </section>
  );
}
