/** The client: every public service, over gRPC-Web. */

import type { Client, Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { DescService } from "@bufbuild/protobuf";
import { AuthService } from "./gen/semantik/auth/v1/auth_service_pb.js";
import { UserService } from "./gen/semantik/auth/v1/user_service_pb.js";
import { CollectionService } from "./gen/semantik/collection/v1/collection_service_pb.js";
import { DocumentService } from "./gen/semantik/collection/v1/document_service_pb.js";
import { SourceService } from "./gen/semantik/collection/v1/source_service_pb.js";
import { EmbeddingService } from "./gen/semantik/embedding/v1/embedding_service_pb.js";
import { ModelService } from "./gen/semantik/embedding/v1/model_service_pb.js";
import { OperationService } from "./gen/semantik/operation/v1/operation_service_pb.js";
import { Operation_State, type Operation } from "./gen/semantik/operation/v1/operation_pb.js";
import { SearchService } from "./gen/semantik/search/v1/search_service_pb.js";
import { clientOf } from "./calls.js";
import { authorized, cookieTransport, patient } from "./interceptors.js";
import { Session } from "./session.js";
import { noTabs, type Tabs } from "./tabs.js";
import { Uploads } from "./uploads.js";
import { watch, type WatchOptions } from "./watch.js";

export interface Options {
  /** The gateway: `http://localhost:8080`; of a page on it, its own origin. */
  baseUrl: string;
  /** Keeps the refresh token in a cookie: for pages of the gateway's own origin. */
  cookies?: boolean;
  tabs?: Tabs;
  /** Makes what calls travel by; gRPC-Web over fetch by default. */
  transport?: (interceptors: Interceptor[]) => Transport;
}

const ENDED: ReadonlySet<Operation_State> = new Set([Operation_State.SUCCEEDED, Operation_State.FAILED, Operation_State.CANCELLED]);

/** Whether an operation has come to its end. */
export function hasEnded(operation: Operation): boolean {
  return ENDED.has(operation.state);
}

export class Semantik {
  readonly session: Session;
  readonly users: Client<typeof UserService>;
  readonly collections: Client<typeof CollectionService>;
  readonly documents: Client<typeof DocumentService>;
  readonly sources: Client<typeof SourceService>;
  readonly operations: Client<typeof OperationService>;
  readonly search: Client<typeof SearchService>;
  readonly embedding: Client<typeof EmbeddingService>;
  readonly models: Client<typeof ModelService>;
  readonly auth: Client<typeof AuthService>;
  readonly uploads: Uploads;

  constructor({ baseUrl, cookies = false, tabs = noTabs(), transport = (interceptors) => createGrpcWebTransport({ baseUrl, interceptors }) }: Options) {
    const client = <S extends DescService>(service: S, ...interceptors: Interceptor[]): Client<S> =>
      clientOf(service, transport([patient(), ...interceptors]));
    this.auth = client(AuthService, ...(cookies ? [cookieTransport] : []));
    this.session = new Session(this.auth, tabs, cookies);
    const token = authorized(() => this.session);
    this.users = client(UserService, token);
    this.collections = client(CollectionService, token);
    this.documents = client(DocumentService, token);
    this.sources = client(SourceService, token);
    this.operations = client(OperationService, token);
    this.search = client(SearchService, token);
    this.embedding = client(EmbeddingService, token);
    this.models = client(ModelService, token);
    this.uploads = new Uploads(baseUrl, this.session);
  }

  /** Yields an operation's latest state after each change, until it has ended. */
  async *watchOperation(operationId: string, options?: WatchOptions): AsyncGenerator<Operation, void, undefined> {
    let token = "";
    const open = async function* (this: Semantik, signal: AbortSignal) {
      token = await this.session.token();
      for await (const answer of this.operations.watchOperation({ operationId }, { signal })) {
        if (answer.operation) yield answer.operation;
      }
    };
    yield* watch(open.bind(this), hasEnded, { renew: () => this.session.replace(token), ...options });
  }
}
