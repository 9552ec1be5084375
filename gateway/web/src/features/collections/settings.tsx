/** What may be changed of a collection, and its end. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { Grant_Role, semantikError, type Collection } from "@semantik/client";
import { written } from "../../app/form.ts";
import { semantik } from "../../app/semantik.ts";
import { tell } from "../../app/toasts.tsx";
import { Button, Confirm, Failure, Field } from "../../design/index.tsx";
import { text as common } from "../../messages/app.ts";
import { text } from "./messages.ts";

export function Settings({ collection }: { collection: Collection }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const refresh = () => queries.invalidateQueries({ queryKey: ["collections"] });
  const update = useMutation({
    mutationFn: (values: { name: string; description: string; isPublic: boolean }) =>
      semantik.collections.updateCollection({ collectionId: collection.id, ...values }),
    onError: () => undefined,
    onSuccess: () => {
      tell(text.saved);
      void refresh();
    },
  });
  const remove = useMutation({
    mutationFn: () => semantik.collections.deleteCollection({ collectionId: collection.id }),
    onSuccess: () => {
      void refresh();
      void navigate({ to: "/" });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    update.mutate({ name: written(values, "name"), description: written(values, "description"), isPublic: values.has("public") });
  };
  const isLocked = collection.role < Grant_Role.ADMIN;
  const fields = update.error ? semantikError(update.error).fields : {};
  return (
    <div className="stack">
      <form className="card stack" onSubmit={submit}>
        {update.error && <Failure error={update.error} />}
        <Field label={text.name} name="name" defaultValue={collection.name} required maxLength={200} disabled={isLocked} wrong={fields.name} />
        <Field label={text.description} name="description" defaultValue={collection.description} maxLength={1000} disabled={isLocked} wrong={fields.description} />
        <label className="check">
          <input type="checkbox" name="public" defaultChecked={collection.isPublic} disabled={isLocked} /> {text.isPublic}
        </label>
        <div>
          <Button type="submit" tone="primary" disabled={isLocked || update.isPending}>
            {common.save}
          </Button>
        </div>
      </form>
      {collection.role === Grant_Role.OWNER && (
        <div className="card spread">
          <span className="muted">{text.deleteQuestion}</span>
          <Button tone="danger" onClick={() => setAsking(true)}>
            {text.delete}
          </Button>
        </div>
      )}
      <Confirm
        title={text.delete}
        question={text.deleteQuestion}
        action={text.delete}
        open={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate()}
      />
    </div>
  );
}
