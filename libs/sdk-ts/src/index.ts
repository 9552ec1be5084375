/** The client of Semantik. */

export { Code } from "@connectrpc/connect";
export { timestampDate, timestampMs, durationMs } from "@bufbuild/protobuf/wkt";
export { hasEnded, Semantik, type Options } from "./client.js";
export { reasons, SemantikError, semantikError, type Reason } from "./errors.js";
export { Session, type Registration, type SessionState } from "./session.js";
export { browserTabs, noTabs, type TabMessage, type Tabs } from "./tabs.js";
export { Uploads, type UploadOptions } from "./uploads.js";
export { watch, type WatchOptions } from "./watch.js";
export { User_Role, type User } from "./gen/semantik/auth/v1/user_pb.js";
export { type Session as UserSession } from "./gen/semantik/auth/v1/session_pb.js";
export { Collection_State, type Collection } from "./gen/semantik/collection/v1/collection_pb.js";
export { Document_Reason, Document_State, type Document } from "./gen/semantik/collection/v1/document_pb.js";
export { Grant_Role } from "./gen/semantik/collection/v1/grant_pb.js";
export { Source_Kind, type Source } from "./gen/semantik/collection/v1/source_pb.js";
export { Model_Kind, Model_Precision, Model_State, type Model } from "./gen/semantik/embedding/v1/model_pb.js";
export { Operation_Kind, Operation_State, Progress_Phase, type Operation, type Progress } from "./gen/semantik/operation/v1/operation_pb.js";
export { SearchMode, type Hit, type SearchResponse } from "./gen/semantik/search/v1/search_service_pb.js";
export { type Highlight } from "./gen/semantik/search/v1/highlight_pb.js";
export { Suggestion_Kind, type Suggestion } from "./gen/semantik/search/v1/suggestion_pb.js";
