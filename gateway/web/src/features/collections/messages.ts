/** Texts of collections, their documents and sources. */

import { Collection_State, Document_Reason, Document_State } from "@semantik/client";
import type { Tone } from "../../design/index.tsx";

export const text = {
  collections: "Collections",
  create: "New collection",
  createHint: "A collection is what is searched together: your notes, a project, the papers of a subject.",
  name: "Name",
  description: "Description",
  model: "Model",
  isPublic: "Everybody who is signed in may read it",
  none: "Nothing is indexed yet",
  noneHint: "Create a collection, then drop files into it or choose a folder on the server. You can search while it is being indexed.",
  documents: "Documents",
  chunks: "Passages",
  size: "Size",
  state: "State",
  updated: "Updated",
  sources: "Sources",
  settings: "Settings",
  search: "Search this collection",
  path: "Path",
  type: "Type",
  pathFilter: "Path begins with",
  all: "All",
  noDocuments: "No documents here",
  noDocumentsHint: "Drop files anywhere on this page, or add a folder of the server under Sources.",
  addFolder: "Add a folder",
  folder: "Folder on the server",
  folderHint: "An absolute path, such as /home/ada/notes. It is read again when you sync it.",
  sync: "Sync",
  remove: "Remove",
  removeQuestion: "Its documents leave the index. The files themselves stay where they are.",
  lastSync: "last sync",
  uploads: "Uploaded files",
  saved: "Saved.",
  delete: "Delete the collection",
  deleteQuestion: "The collection and its index are deleted. Folders on the server stay as they are; uploaded files are deleted.",
  deleteDocument: "Delete",
  drop: "Drop files to index them",
  choose: "Choose files",
  uploading: "Uploading",
  uploaded: "uploaded",
  failed: "failed",
  readOnly: "You may read this collection, not change it.",
};

export const COLLECTION_STATES: Record<Collection_State, [Tone, string]> = {
  [Collection_State.UNSPECIFIED]: ["calm", "unknown"],
  [Collection_State.PENDING]: ["calm", "empty"],
  [Collection_State.READY]: ["good", "ready"],
  [Collection_State.PROCESSING]: ["busy", "indexing"],
  [Collection_State.ERROR]: ["bad", "failed"],
  [Collection_State.DEGRADED]: ["warn", "some failed"],
  [Collection_State.DELETING]: ["calm", "deleting"],
};

export const DOCUMENT_STATES: Record<Document_State, [Tone, string]> = {
  [Document_State.UNSPECIFIED]: ["calm", "unknown"],
  [Document_State.PENDING]: ["calm", "waiting"],
  [Document_State.PROCESSING]: ["busy", "indexing"],
  [Document_State.INDEXED]: ["good", "indexed"],
  [Document_State.SKIPPED]: ["calm", "skipped"],
  [Document_State.FAILED]: ["bad", "failed"],
  [Document_State.DELETED]: ["calm", "deleted"],
};

export const REASONS: Record<Document_Reason, string> = {
  [Document_Reason.UNSPECIFIED]: "",
  [Document_Reason.DUPLICATE]: "the same content as another document",
  [Document_Reason.UNSUPPORTED_TYPE]: "a type that is not read",
  [Document_Reason.EMPTY]: "no text in it",
  [Document_Reason.TOO_LARGE]: "too large",
  [Document_Reason.UNSAFE_PATH]: "its path leads out of the folder",
  [Document_Reason.UNREADABLE]: "cannot be read",
  [Document_Reason.CORRUPT]: "damaged",
  [Document_Reason.ENCRYPTED]: "encrypted",
  [Document_Reason.TOO_COSTLY]: "takes too much to read",
  [Document_Reason.POISON]: "reading it stopped the worker",
  [Document_Reason.INTERNAL]: "an error of ours",
  [Document_Reason.SECRET]: "looks like a secret",
};
