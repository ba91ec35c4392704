
// Tells the agent at the end of its turn how much waits for it in its session of git parler, and from whom.
import { spawn } from "node:child_process"

export const Parler = async ({ client, directory }) => {
  const hook = (event) =>
    new Promise((resolve) => {
      const ran = spawn("sh", ["-c", `exec ${program} hook opencode ${event}`], { stdio: ["pipe", "pipe", "ignore"] })
      let said = ""
      ran.stdout.on("data", (data) => (said += data))
      ran.on("error", () => resolve(""))
      // It may have ended before it has read everything.
      ran.stdin.on("error", () => {})
      ran.on("close", (code) => resolve(code === 0 ? said.trim() : ""))
      ran.stdin.end(JSON.stringify({ cwd: directory }))
    })
  let isOurs = false
  return {
    "chat.message": async () => {
      if (!isOurs) await hook("chat.message")
      isOurs = false
    },
    event: async ({ event }) => {
      if (event.type !== "session.idle") return
      const id = event.properties.sessionID
      const session = await client.session.get({ path: { id } })
      if (session.data?.parentID) return
      const text = await hook("session.idle")
      if (!text) return
      isOurs = true
      await client.session.prompt({ path: { id }, body: { parts: [{ type: "text", text }] } })
    },
  }
}
